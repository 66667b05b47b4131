//! `volume create`.

use crate::cmd::Context;
use crate::failure::Outcome;
use crate::opts::{label, map, memory, option};
use tinyd_engine::VolumeCreate;

/// Make a volume, and print its name
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  tinyd volume create data
  tinyd volume create --size 2g logs
  tinyd volume create -d tmpfs --size 100m cache
  tinyd volume create -d btrfs -o compress=zstd --label stage=test db
  tinyd volume create -d remote -o type=nfs -o device=server:/export files
  tinyd volume create -o type=none -o o=bind -o device=/srv/www www

With the driver local, Docker's -o type=tmpfs|none|nfs|nfs4|cifs, device and o make a volume of our drivers tmpfs, bind and remote.")]
pub(super) struct Create {
    #[command(flatten)]
    made: Made,
    /// What it is called; without a name it gets one of 32 digits. One that is there already is left as it is
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// How a volume is made.
#[derive(clap::Args, Debug)]
pub(super) struct Made {
    /// The kind of volume: local by default, a folder of this machine; tmpfs, btrfs, remote, or the name of a volume plugin
    #[arg(short, long, value_name = "DRIVER")]
    driver: Option<String>,
    /// How much it may hold, where the driver can hold it to that
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    size: Option<u64>,
    /// What the driver knows; may be given again
    #[arg(short, long = "opt", value_name = "NAME=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// Note something about it; may be given again
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = label)]
    label: Vec<(String, String)>,
}

impl Made {
    pub(super) fn into_wanted(self, name: Option<String>) -> VolumeCreate {
        let Self { driver, size, options, label } = self;
        VolumeCreate { name, driver, size, options: map(options), labels: map(label) }
    }
}

impl Create {
    pub(super) fn run(self, context: &Context<'_>) -> Outcome {
        let wanted = self.made.into_wanted(self.name);
        let name = context.engine()?.create_volume(&wanted)?;
        context.console.line(&name).map(|()| 0)
    }
}
