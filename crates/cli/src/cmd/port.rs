//! `port`: where a container's ports are reached.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome};
use crate::opts::inner_port;
use tinyd_engine::PortBinding;

/// Print where the published ports of a container are reached
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd port c1
  tinyd port c1 80
  tinyd port c1 53/udp")]
pub(crate) struct Port {
    /// Id, name or beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Of this port of the container alone; of TCP where no protocol is named
    #[arg(value_name = "PORT[/PROTOCOL]", value_parser = inner_port)]
    port: Option<String>,
}

impl Verb for Port {
    const NAME: &'static str = "port";

    fn run(self, context: &Context<'_>) -> Outcome {
        let ports = context.engine()?.inspect(&self.container)?.network_settings.ports;
        let Some(wanted) = self.port else {
            let mut all: Vec<_> = ports.iter().collect();
            // By number: as text 8080 stands before 9.
            all.sort_by_key(|(port, _)| {
                (port.split('/').next().and_then(|text| text.parse::<u16>().ok()), *port)
            });
            for (port, bindings) in all {
                for binding in bindings {
                    context.console.line(&format!("{port} -> {}", address(binding)))?;
                }
            }
            return Ok(0);
        };
        match ports.get(&wanted).filter(|bindings| !bindings.is_empty()) {
            Some(bindings) => {
                for binding in bindings {
                    context.console.line(&address(binding))?;
                }
                Ok(0)
            }
            None => Err(Failure::Failed(format!("container {} publishes no port {wanted}", self.container))),
        }
    }
}

/// `0.0.0.0:8080`, `[::]:8080`.
fn address(binding: &PortBinding) -> String {
    match binding.host_ip.contains(':') {
        true => format!("[{}]:{}", binding.host_ip, binding.host_port),
        false => format!("{}:{}", binding.host_ip, binding.host_port),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn ports_are_printed_as_docker_prints_them() {
        let bench = Bench::new();
        let all = "53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n443/tcp -> 0.0.0.0:8443\n";
        assert_eq!(bench.run("port c1").stdout, all);
        for line in ["port c1 80", "port c1 80/tcp", "port c1 80/TCP"] {
            assert_eq!(bench.run(line).stdout, "0.0.0.0:8080\n[::]:8080\n", "{line}");
        }
        assert_eq!(bench.run("port c1 53/udp").stdout, "127.0.0.1:5353\n");
    }

    #[test]
    fn one_that_is_not_published_is_an_error_in_one_line() {
        for (line, code, part) in [
            ("port c1 81", 1, "container c1 publishes no port 81/tcp"),
            ("port c1 80/udp", 1, "no port 80/udp"),
            ("port nosuch", 1, "nosuch"),
            ("port c1 0", 2, "1 to 65535"),
            ("port c1 70000", 2, "1 to 65535"),
            ("port c1 80/icmp", 2, "icmp"),
            ("port", 2, "CONTAINER"),
        ] {
            let done = Bench::new().run(line);
            assert_eq!((done.code, done.stdout.as_str()), (code, ""), "{line}: {}", done.stderr);
            assert!(done.stderr.contains(part), "{line}: {}", done.stderr);
            assert_eq!(done.stderr.lines().count(), 1, "{line}: {}", done.stderr);
        }
    }
}
