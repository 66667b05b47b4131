//! How folders of the host and volumes are mounted: what this host can give of what is asked for, and the words for it.

use crate::error::{Error, Result};
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd as _;
use std::path::Path;
use tinyd_engine::{BindMount, ContainerSpec, Relabel, UserNamespace, VolumeMount};
use tinyd_fs::mountinfo;

/// Where SELinux shows itself while it is on (selinux(8)).
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// Checks the mounts of a container whose user namespace is settled. `asked` is the one that was asked for. Gives notes.
pub(crate) fn check(spec: &ContainerSpec, asked: UserNamespace) -> Result<Vec<String>> {
    let owned = spec.binds.iter().map(|bind| (bind.idmap, &bind.target));
    let mut owned = owned.chain(spec.volumes.iter().map(|mount| (mount.idmap, &mount.target)));
    if let Some((_, target)) = owned.find(|(idmap, _)| *idmap)
        && asked == UserNamespace::Auto
        && spec.userns == UserNamespace::Host
        && !spec.security.privileged
    {
        let problem =
            "is to have mapped ids, which this machine cannot give (tinyd system info): leave idmap out";
        return Err(Error::invalid("mount", target.display().to_string(), problem));
    }
    for bind in &spec.binds {
        if bind.propagation.spreads_to_host() && spec.userns == UserNamespace::Auto {
            let problem = "is not possible in a user namespace, whose mounts never spread to the machine: \
                           use rslave, or --userns host";
            return Err(Error::invalid("propagation", bind.propagation.word(), problem));
        }
        spreads(bind)?;
    }
    Ok(labels(spec, Path::new(SELINUX)))
}

/// A source that is there and is to spread must lie on a mount that does; the runtime looks once more.
fn spreads(bind: &BindMount) -> Result<()> {
    if !bind.propagation.spreads() {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let Ok(source) = rustix::fs::open(&bind.source, flags, Mode::empty()) else { return Ok(()) };
    let mount = mountinfo::of(source.as_fd()).map_err(|source| Error::Tree {
        operation: "find the mount of",
        path: bind.source.clone(),
        source: Box::new(source),
    })?;
    let Some(mount) = mount else { return Ok(()) };
    let wanted = match bind.propagation.spreads_to_host() {
        true if mount.is_shared() => return Ok(()),
        false if mount.is_shared() || mount.is_slave() => return Ok(()),
        true => "a shared mount",
        false => "a shared or slave mount",
    };
    let point = mount.mount_point.display();
    let problem = format!(
        "is mounted on {point} but it is not {wanted}: leave {} out, or let that spread (mount --make-rshared {point})",
        bind.propagation.word()
    );
    Err(Error::invalid("path", bind.source.display().to_string(), problem))
}

/// Labels are not changed: where they count, whoever asks for one is told.
fn labels(spec: &ContainerSpec, selinux: &Path) -> Vec<String> {
    let binds = spec.binds.iter().filter(|bind| bind.relabel.is_some()).map(|bind| &bind.target);
    let volumes = spec.volumes.iter().filter(|mount| mount.relabel.is_some()).map(|mount| &mount.target);
    let targets: Vec<String> = binds.chain(volumes).map(|target| target.display().to_string()).collect();
    if targets.is_empty() || !selinux.exists() {
        return Vec::new();
    }
    let targets = targets.join(", ");
    vec![format!(
        "SELinux is on, and tinyd changes no labels: what is mounted at {targets} keeps its own (see chcon(1))"
    )]
}

/// The words that a bind was asked for with, but for its propagation, as `inspect` has them.
pub(crate) fn words_of_bind(bind: &BindMount) -> Vec<&'static str> {
    words(bind.read_only, bind.relabel, bind.idmap)
}

/// Those of a volume.
pub(crate) fn words_of_volume(mount: &VolumeMount) -> Vec<&'static str> {
    words(mount.read_only, mount.relabel, mount.idmap)
}

fn words(read_only: bool, relabel: Option<Relabel>, idmap: bool) -> Vec<&'static str> {
    let label = relabel.map(|label| match label {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    });
    read_only.then_some("ro").into_iter().chain(label).chain(idmap.then_some("idmap")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_who_asks_for_a_label_is_told_where_labels_count() {
        let mut spec = ContainerSpec::new("host", ["true"]);
        spec.binds = vec![BindMount::new("/a", "/plain")];
        assert!(labels(&spec, Path::new("/")).is_empty());
        spec.binds.push(BindMount { relabel: Some(Relabel::Shared), ..BindMount::new("/a", "/labelled") });
        spec.volumes =
            vec![VolumeMount { relabel: Some(Relabel::Private), ..VolumeMount::anonymous("/own") }];
        assert!(labels(&spec, Path::new("/nowhere/enforce")).is_empty());
        let notes = labels(&spec, Path::new("/"));
        assert!(notes.len() == 1 && notes[0].contains("/labelled, /own keeps"), "{notes:?}");
    }

    #[test]
    fn pure_mapped_ids_that_cannot_be_had_are_an_error() {
        let mut spec = ContainerSpec::new("host", ["true"]);
        spec.volumes = vec![VolumeMount { idmap: true, ..VolumeMount::anonymous("/own") }];
        assert!(check(&spec, UserNamespace::Auto).is_ok());
        spec.userns = UserNamespace::Host;
        assert!(check(&spec, UserNamespace::Host).is_ok(), "they are the machine's own then");
        assert!(check(&spec, UserNamespace::Auto).is_err(), "it was to have a user namespace");
        spec.volumes[0].idmap = false;
        assert!(check(&spec, UserNamespace::Auto).is_ok());
    }
}
