//! What is mounted, in Docker's order, and with its options.

use super::id_map;
use crate::store::{Record, ShownTree, UsedVolume};
use oci_spec::runtime::{LinuxIdMapping, Mount};
use std::path::{Path, PathBuf};
use tinyd_engine::{BindMount, Recursive, TmpfsMount};
use tinyd_net::Namespace;
use tinyd_runtime::annotation;

/// The generated files of a container, and where they are seen.
const FILES: [(&str, &str); 3] =
    [("resolv.conf", "/etc/resolv.conf"), ("hostname", "/etc/hostname"), ("hosts", "/etc/hosts")];

/// Bytes of `/dev/shm`.
pub(crate) const DEFAULT_SHM: u64 = 64 << 20;

pub(super) fn mounts(record: &Record, folder: &Path) -> Vec<Mount> {
    let map = id_map(record);
    let mut mounts = standard(record);
    for (file, target) in FILES {
        let own = BindMount { read_only: record.spec.read_only, ..BindMount::new(folder.join(file), target) };
        mounts.push(bind(&own, map.as_deref()));
    }
    // What a user mounts somewhere is meant instead of what stands there, and a folder comes before what lies in it.
    let binds = record.spec.binds.iter().map(|one| bind(one, map.as_deref()));
    let volumes = record.volumes.iter().map(|used| volume(used, map.as_deref()));
    let images = record.images.iter().flat_map(|used| {
        used.trees.iter().map(|tree| image(tree, used.mount.writable, record.rootfs.volatile, map.as_deref()))
    });
    let mut users: Vec<Mount> =
        binds.chain(volumes).chain(images).chain(record.spec.tmpfs.iter().map(in_memory)).collect();
    users.sort_by_key(|mount| mount.destination().components().count());
    mounts.retain(|mount| !users.iter().any(|user| user.destination() == mount.destination()));
    mounts.extend(users);
    mounts
}

/// A file system in memory. What is asked for comes last, and so counts.
fn in_memory(wanted: &TmpfsMount) -> Mount {
    let asked = |word: &str| wanted.options.iter().any(|option| option == word);
    let defaults = [("nosuid", "suid"), ("nodev", "dev"), ("noexec", "exec")];
    let mut options: Vec<&str> =
        defaults.iter().filter(|(_, opposite)| !asked(opposite)).map(|(default, _)| *default).collect();
    options.extend(wanted.options.iter().map(String::as_str));
    let mut mount = plain("", "tmpfs", "tmpfs", &options);
    mount.set_destination(wanted.target.clone());
    mount
}

fn standard(record: &Record) -> Vec<Mount> {
    let mount = |target: &str, kind: &str, options: &[&str]| plain(target, kind, kind, options);
    // A network namespace that this user namespace does not own lets nobody inside mount a sysfs of it.
    let foreign_sys = record.netns != Namespace::Own && record.slot.is_some();
    // Who may do anything may write there, too.
    let system: &[&str] = if record.spec.security.privileged {
        &["nosuid", "noexec", "nodev"]
    } else {
        &["ro", "nosuid", "noexec", "nodev"]
    };
    let shm = format!("size={}", record.spec.shm_size.unwrap_or(DEFAULT_SHM));
    vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        match foreign_sys {
            // The file system alone, without what the host has mounted in it.
            true => plain("/sys", "bind", "/sys", &["bind", "rprivate", "nosuid", "noexec", "nodev", "ro"]),
            false => mount("/sys", "sysfs", system),
        },
        mount("/sys/fs/cgroup", "cgroup", system),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        plain("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
    ]
}

fn plain(target: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(PathBuf::from(target))
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(PathBuf::from(source)))
        .set_options(Some(options.iter().map(|&option| option.to_owned()).collect()));
    mount
}

fn volume(used: &UsedVolume, map: Option<&[LinuxIdMapping]>) -> Mount {
    let source = source_of(used, &used.state.path);
    let shown =
        BindMount { read_only: used.mount.read_only, ..BindMount::new(source, used.mount.target.clone()) };
    let mut mount = bind(&shown, map);
    add_options(&mut mount, used.mount.subpath.as_deref().map(subpath_option));
    mount
}

fn subpath_option(subpath: &Path) -> String {
    format!("{}={}", annotation::SUBPATH, subpath.display())
}

fn add_options(mount: &mut Mount, more: impl IntoIterator<Item = String>) {
    let options = mount.options().iter().flatten().cloned().chain(more).collect();
    mount.set_options(Some(options));
}

/// What is mounted of a volume whose data lies at a path. What a container has made of it since is the runtime's to see.
pub(crate) fn source_of(used: &UsedVolume, path: &Path) -> PathBuf {
    used.mount.subpath.as_ref().map_or_else(|| path.to_owned(), |subpath| path.join(subpath))
}

/// A tree of an image. One layer that is only read is shown as it is; more of them, or what is written, are an overlay.
fn image(tree: &ShownTree, writable: bool, volatile: bool, map: Option<&[LinuxIdMapping]>) -> Mount {
    let layers = &tree.layers;
    let mut mount = match &layers.lowers[..] {
        [layer] if !writable => {
            let source = tree.subpath.as_ref().map_or_else(|| layer.clone(), |subpath| layer.join(subpath));
            let recursive = Recursive::Disabled;
            bind(
                &BindMount { read_only: true, recursive, ..BindMount::new(source, layers.target.clone()) },
                map,
            )
        }
        lowers => {
            let mut mount = plain("", "overlay", "overlay", if writable { &[] } else { &["ro"] });
            let escaped =
                |path: &PathBuf| path.display().to_string().replace('\\', "\\\\").replace(':', "\\:");
            let lowers: Vec<String> = lowers.iter().map(escaped).collect();
            let folders = [
                format!("lowerdir={}", lowers.join(":")),
                format!("upperdir={}", layers.upper.display()),
                format!("workdir={}", layers.work.display()),
            ];
            add_options(&mut mount, folders.into_iter().chain(volatile.then(|| "volatile".to_owned())));
            mount.set_destination(layers.target.clone());
            mount
        }
    };
    // As in a container's root: an image's device nodes are nobody's way to a device.
    add_options(&mut mount, ["nodev".to_owned()]);
    add_options(&mut mount, tree.subpath.as_deref().map(subpath_option));
    mount
}

fn bind(wanted: &BindMount, map: Option<&[LinuxIdMapping]>) -> Mount {
    let how = if wanted.recursive == Recursive::Disabled { "bind" } else { "rbind" };
    let mut options = vec![how.to_owned(), wanted.propagation.word().to_owned()];
    if wanted.read_only {
        // Of everything below it too: "ro" leaves mounts below writable.
        let below = !matches!(wanted.recursive, Recursive::Writable | Recursive::Disabled);
        options.push(if below { "rro" } else { "ro" }.to_owned());
    }
    if map.is_some() && how == "rbind" {
        options.push("ridmap".to_owned());
    }
    let mut mount = Mount::default();
    mount
        .set_destination(wanted.target.clone())
        .set_typ(Some("bind".to_owned()))
        .set_source(Some(wanted.source.clone()))
        .set_options(Some(options))
        .set_uid_mappings(map.map(<[_]>::to_vec))
        .set_gid_mappings(map.map(<[_]>::to_vec));
    mount
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{record_with, store};
    use tinyd_engine::Propagation;

    #[test]
    fn pure_a_users_bind_stands_instead_of_ours_and_parents_come_first() {
        let (_place, store) = store();
        let record = record_with(&store, |record| {
            record.spec.binds =
                ["/data/deep/er", "/etc/hosts", "/data"].map(|target| BindMount::new("/s", target)).to_vec();
        });
        let targets: Vec<String> = mounts(&record, Path::new("/c"))
            .iter()
            .map(|mount| mount.destination().display().to_string())
            .collect();
        assert_eq!(targets[targets.len() - 4..], ["/etc/hostname", "/data", "/etc/hosts", "/data/deep/er"]);
        assert_eq!(targets.iter().filter(|target| *target == "/etc/hosts").count(), 1);
    }

    #[test]
    fn pure_an_image_is_a_bind_or_an_overlay() {
        let tree = |lowers: &[&str], subpath: Option<&str>| ShownTree {
            layers: tinyd_runtime::OverlayMount {
                target: "/x".into(),
                lowers: lowers.iter().map(PathBuf::from).collect(),
                upper: "/c/upper".into(),
                work: "/c/work".into(),
            },
            subpath: subpath.map(PathBuf::from),
        };
        let made = |tree: &ShownTree, writable| {
            let mount = image(tree, writable, true, None);
            let source = mount.source().clone().unwrap().display().to_string();
            (mount.typ().clone().unwrap(), source, mount.options().clone().unwrap().join(","))
        };
        let (kind, source, options) = made(&tree(&["/a"], Some("b/c")), false);
        assert_eq!((kind.as_str(), source.as_str()), ("bind", "/a/b/c"));
        assert_eq!(options, "bind,rprivate,ro,nodev,X-tinyd.subpath=b/c");
        let folders = "upperdir=/c/upper,workdir=/c/work,volatile,nodev";
        let (kind, _, options) = made(&tree(&["/a:1", r"/b\2"], None), false);
        assert_eq!((kind.as_str(), options), ("overlay", format!(r"ro,lowerdir=/a\:1:/b\\2,{folders}")));
        let (_, _, options) = made(&tree(&["/a"], Some("b")), true);
        assert_eq!(options, format!("lowerdir=/a,{folders},X-tinyd.subpath=b"));
    }

    #[test]
    fn pure_the_words_of_a_bind() {
        let options = |recursive, read_only, propagation| {
            let wanted = BindMount { recursive, read_only, propagation, ..BindMount::new("/s", "/d") };
            bind(&wanted, None).options().clone().unwrap().join(",")
        };
        let rprivate = Propagation::RPrivate;
        assert_eq!(options(Recursive::Enabled, false, Propagation::RSlave), "rbind,rslave");
        assert_eq!(options(Recursive::Enabled, true, rprivate), "rbind,rprivate,rro");
        assert_eq!(options(Recursive::ReadOnly, true, rprivate), "rbind,rprivate,rro");
        assert_eq!(options(Recursive::Writable, true, rprivate), "rbind,rprivate,ro");
        assert_eq!(options(Recursive::Disabled, true, Propagation::Shared), "bind,shared,ro");
    }
}
