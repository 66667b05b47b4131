//! `network disconnect`.

use crate::cmd::Context;
use crate::failure::Outcome;
use tinyd_engine::ErrorKind;

/// Take a container from a network
#[derive(clap::Args, Debug)]
#[command(
    long_about = "Take a container from a network: at once where it runs, and at its later starts.",
    after_help = "\
Examples:
  tinyd network disconnect db web
  tinyd network disconnect -f db web"
)]
pub(super) struct Disconnect {
    /// A container that is not there is no error: it is on no network
    #[arg(short, long)]
    force: bool,
    /// Name, id or the beginning of an id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Name, id or the beginning of an id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Disconnect {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let engine = context.engine()?;
        match engine.disconnect_network(&self.container, &self.network) {
            // Where the network is not there either, that is the error.
            Err(error) if self.force && error.kind() == ErrorKind::NotFound => {
                engine.inspect_network(&self.network)?;
            }
            done => done?,
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn by_force_a_container_that_is_gone_is_on_no_network() {
        for (words, code) in [
            ("web c1", 0),
            ("-f web c1", 0),
            ("web nobody", 1),
            ("-f web nobody", 0),
            ("--force none nobody", 1),
        ] {
            let done = Bench::new().run(&format!("network disconnect {words}"));
            assert_eq!(
                (done.code, done.stderr.lines().count()),
                (code, code.into()),
                "{words}: {}",
                done.stderr
            );
        }
    }
}
