//! A container of Podman's defaults.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tinyd_tests::Env;
use tinyd_tests::comparison::{Facts, host_namespaces};

use super::peers::{self, Group};

/// All in one: what Podman notes in memory is gone with its namespaces. Its words: the folder, the archive, the control
/// group, and those of the probe.
///
/// crun refuses control groups of both versions beside each other, so that of version 2 is not shown to it. Root here may
/// lack CAP_SYS_RESOURCE, and then limits as high as Podman's cannot be set.
const SCRIPT: &str = r#"
set -eu
folder=$1 archive=$2 group=$3
shift 3
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mkdir -p /etc/containers/containers.conf.d
printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' \
    > /etc/containers/containers.conf.d/tinyd-sandbox.conf
podman() {
    command podman --root "$folder/root" --runroot "$folder/run" --tmpdir "$folder/tmp" \
        --cgroup-manager cgroupfs --events-backend none "$@"
}
podman import --quiet "$archive" probe:1 >&2
podman create --name probe --network none --cgroups no-conmon --cgroup-parent "$group" probe:1 /probe "$@" >&2
podman init probe >&2
cp "$(podman inspect --format '{{.OCIConfigPath}}' probe)" "$folder/config.json"
podman start --attach probe
podman rm probe >&2
"#;

/// Runs the probe in it.
pub(super) fn facts(env: &Env, image: &Path) -> Result<Facts> {
    let folder = peers::folder(env, "podman")?;
    let archive = peers::archive(env, image, &folder)?;
    let group = Group::new(env);
    let (place, archive, parent) = (folder.to_string_lossy(), archive.to_string_lossy(), group.path());
    let namespaces = host_namespaces();
    let mut words = vec!["sh", "-c", SCRIPT, "sh", &place, &archive, &parent];
    words.extend(namespaces.iter().map(String::as_str));
    let said = peers::said(&peers::privately(env, &folder, &words).output())?;
    let mut facts = Facts::read(&said);
    let config =
        fs::read_to_string(folder.join("config.json")).context("Podman's configuration cannot be read")?;
    facts.add_config(&config);
    Ok(facts)
}
