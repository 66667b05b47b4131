//! `update`: other limits, another restart policy, other published ports.

use super::{Context, Verb};
use crate::failure::{Failure, Outcome};
use crate::opts::{self, Published, ResourceOptions};
use tinyd_engine::{HostPort, PortChange, Resources, RestartPolicy};

/// Change the limits of containers, their restart policy or their published ports, at once where they run, and for their later starts
#[derive(clap::Parser, Debug)]
#[command(after_help = "\
Examples:
  tinyd update --memory 500m c1
  tinyd update --cpus 1.5 --pids-limit 100 c1 c2
  tinyd update --restart unless-stopped c1
  tinyd update -p 8443:443 --publish-rm 8080 c1")]
pub(crate) struct Update {
    #[command(flatten)]
    resources: ResourceOptions,
    /// Lead a further port of this machine, or a range, to one of the container; may be given again (also --publish-add)
    #[arg(short, long, alias = "publish-add", value_name = "[IP:]PORT:PORT[/PROTOCOL]", value_parser = opts::published)]
    publish: Vec<Published>,
    /// Lead this port of this machine to the container no more; may be given again
    #[arg(long, value_name = "[IP:]PORT[/PROTOCOL]", value_parser = opts::host_port)]
    publish_rm: Vec<HostPort>,
    /// Start it again when it ends from now on: no, on-failure, on-failure:N, always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = opts::restart::parse)]
    restart: Option<RestartPolicy>,
    /// Ids, names or beginnings of ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Verb for Update {
    const NAME: &'static str = "update";

    fn run(self, context: &Context<'_>) -> Outcome {
        let limits = self.resources.into_resources();
        let (add, note) = opts::settled_ports(self.publish, context.settings())?;
        let change = PortChange { add, remove: self.publish_rm };
        if change == PortChange::default() {
            return context.each(&self.containers, |engine, container| {
                // Limits that are refused change nothing; a policy is refused to one alone that removes itself.
                match self.restart {
                    None => engine.update(container, &limits),
                    Some(policy) if limits == Resources::default() => {
                        engine.set_restart_policy(container, policy)
                    }
                    Some(policy) => {
                        if policy != RestartPolicy::No && engine.inspect(container)?.host_config.auto_remove {
                            return engine.set_restart_policy(container, policy);
                        }
                        engine.update(container, &limits)?;
                        engine.set_restart_policy(container, policy)
                    }
                }
            });
        }
        // Each of the two is done whole or not at all, which nobody could say of both together.
        if limits != Resources::default() {
            return Err(Failure::Usage("ports and limits change in an update each".to_owned()));
        }
        if self.restart.is_some() {
            return Err(Failure::Usage("ports and the restart policy change in an update each".to_owned()));
        }
        let done =
            context.each(&self.containers, |engine, container| engine.change_ports(container, &change));
        context.console.notes(&note.into_iter().collect::<Vec<_>>());
        done
    }
}
