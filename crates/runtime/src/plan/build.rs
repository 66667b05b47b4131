//! From the OCI configuration to the plan of a start.

use super::cstrings::c_path;
use super::namespaces::Wanted;
use super::spec::{Bundle, invalid};
use super::{Plan, UserPlan, devices, label, links, mounts, process, resources, secrets, shared};
use crate::config::{IdMapping, Linux};
use crate::{Failure, StartRequest, annotation, defence, sysctl};
use std::collections::HashSet;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use tinyd_cgroup::Limits;
use tinyd_fs::mount::Propagation;
use tinyd_ns::Namespaces;
use tinyd_ns::idmap::{IdMaps, IdRange};

/// Descriptors that travel to the child: far more than anyone mounts, and fewer than it has room for.
pub(crate) const MAX_PREPARED: usize = 200;

/// The longest name of a host or a domain (`__NEW_UTS_LEN` of the kernel).
const MAX_NAME: usize = 64;

/// Overlays that a root file system may consist of.
pub(crate) const MAX_LAYERS: usize = 16;

/// The namespaces that a bundle's container has of its own.
pub(crate) fn namespaces_of(bundle: &Bundle) -> Result<Namespaces, Failure> {
    bundle.spec.linux.as_ref().map_or(Ok(Namespaces::empty()), |linux| Ok(Wanted::of(linux)?.all()))
}

/// Whether its processes end with the first one: the kernel ends those of a PID namespace with its first, which the container's
/// is in none that it has joined.
pub(crate) fn ends_as_one(bundle: &Bundle) -> Result<bool, Failure> {
    let linux = bundle.spec.linux.as_ref();
    linux.map_or(Ok(false), |linux| Ok(Wanted::of(linux)?.new.contains(Namespaces::PID)))
}

/// The maps of its user namespace, if it has one.
pub(crate) fn id_maps_of(bundle: &Bundle) -> Result<Option<IdMaps>, Failure> {
    let Some(linux) = &bundle.spec.linux else { return Ok(None) };
    Wanted::of(linux)?.id_maps(linux)
}

/// Checks the configuration and works out the start.
pub(crate) fn build(bundle: &Bundle, request: &StartRequest) -> Result<Plan, Failure> {
    let spec = &bundle.spec;
    check_version(&spec.version)?;
    if spec
        .linux
        .as_ref()
        .and_then(|linux| linux.intel_rdt.as_ref())
        .is_some_and(|rdt| *rdt != serde_json::json!({}))
    {
        return Err(invalid(
            "linux.intelRdt",
            "tinyd-runtime makes no groups in resctrl, which few processors have",
        ));
    }
    let linux = spec.linux.as_ref().ok_or_else(|| invalid("linux", "is missing"))?;
    let wanted = Wanted::of(linux)?;
    let (namespaces, id_maps) = (wanted.all(), wanted.id_maps(linux)?);
    for (property, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        if name.is_some() && !wanted.apart().contains(Namespaces::UTS) {
            return Err(invalid(property, "would be that of the host: there is no uts namespace"));
        }
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(invalid(
                property,
                format!("is longer than {MAX_NAME} bytes, which is all that Linux keeps"),
            ));
        }
    }
    let process = spec.process.as_ref().ok_or_else(|| invalid("process", "is missing"))?;
    if spec.annotations.as_ref().is_some_and(|all| all.contains_key("")) {
        return Err(invalid("annotations", "one has no name"));
    }
    let init = bundle.noted(annotation::INIT).is_some_and(|value| value == "true");
    let user = match bundle.noted(annotation::USER) {
        Some(text) => UserPlan::Text(text.clone()),
        None => process::ids(process)?,
    };
    if request.rootfs.overlays.len() > MAX_LAYERS {
        return Err(invalid("rootfs", format!("consists of more than {MAX_LAYERS} overlays")));
    }
    let layers = request
        .rootfs
        .overlays
        .iter()
        .skip(1)
        .map(|overlay| c_path("rootfs", &overlay.target))
        .collect::<Result<_, _>>()?;
    let mut mounts = mounts::plan(
        spec,
        mounts::Scene {
            namespaces,
            maps: id_maps.as_ref(),
            bundle: &request.bundle,
            foreign: request.rootfs.overlays.is_empty(),
            label: mount_label(linux)?,
        },
    )?;
    let devices = linux.devices.as_deref().unwrap_or_default();
    let strays = devices::place(devices, id_maps.as_ref(), &mut mounts)?;
    mounts.extend(secrets::plan(&request.secrets)?);
    if mounts.len() + strays.places.len() + request.rootfs.overlays.len() > MAX_PREPARED {
        return Err(invalid("mounts", format!("there are more than {MAX_PREPARED}")));
    }
    let masked = topmost("linux.maskedPaths", &linux.masked_paths, &[])?;
    let read_only = topmost("linux.readonlyPaths", &linux.readonly_paths, &masked)?;
    let mut plan = Plan {
        namespaces: wanted.new - Namespaces::CGROUP,
        cgroup_namespace: wanted.new.contains(Namespaces::CGROUP),
        time_offsets: wanted.offsets(linux)?,
        id_maps,
        hostname: c_text("hostname", spec.hostname.as_deref())?,
        domainname: c_text("domainname", spec.domainname.as_deref())?,
        layers,
        mounts,
        in_order: bundle.is_foreign(),
        strays,
        masked,
        read_only,
        sysctls: sysctls(linux, wanted.apart())?,
        root_read_only: spec.root.as_ref().and_then(|root| root.readonly).unwrap_or(false),
        links: links::plan(linux, wanted.apart())?,
        root_propagation: linux.rootfs_propagation.as_deref().map(root_propagation).transpose()?.flatten(),
        shown_at: None,
        process: process::plan(process, bundle, &request.bundle, &request.id, request.window, init)?,
        user,
        joined: wanted.joined,
        limits: limits(bundle, linux)?,
    };
    if request.rootfs.overlays.is_empty() {
        resources::every_node(&mut plan.limits.devices);
    }
    shared::check(&plan)?;
    Ok(defence::plan(plan))
}

/// The paths of a list that lie neither below others of it nor below those that are hidden: nothing is there any more to be hidden, and
/// what lies there is another mount, which is not what was meant.
fn topmost(property: &str, list: &Option<Vec<String>>, hidden: &[CString]) -> Result<Vec<CString>, Failure> {
    let paths = || list.iter().flatten().map(Path::new);
    let hidden: HashSet<&Path> =
        hidden.iter().map(|path| Path::new(OsStr::from_bytes(path.to_bytes()))).collect();
    let listed: HashSet<&Path> = paths().collect();
    let mut taken = HashSet::new();
    paths()
        .filter(|path| !path.ancestors().any(|above| hidden.contains(above)))
        .filter(|path| !path.ancestors().skip(1).any(|above| listed.contains(above)))
        .filter(|path| taken.insert(*path))
        .map(|path| absolute(property, path))
        .collect()
}

fn mount_label(linux: &Linux) -> Result<Option<&str>, Failure> {
    let label = linux.mount_label.as_deref().filter(|label| !label.is_empty());
    match label {
        Some(_) if !label::has_selinux() => {
            Err(invalid("linux.mountLabel", "SELinux is not enabled on this host"))
        }
        label => Ok(label),
    }
}

/// `None` is private, which everything is.
fn root_propagation(word: &str) -> Result<Option<(Propagation, bool)>, Failure> {
    Ok(match word {
        "" | "private" | "rprivate" => None,
        "slave" => Some((Propagation::Slave, false)),
        "rslave" => Some((Propagation::Slave, true)),
        "shared" => Some((Propagation::Shared, false)),
        "rshared" => Some((Propagation::Shared, true)),
        "unbindable" => Some((Propagation::Unbindable, false)),
        "runbindable" => Some((Propagation::Unbindable, true)),
        other => return Err(invalid("linux.rootfsPropagation", format!("{other:?} is no propagation"))),
    })
}

/// What is made of the specification's versions: this one's parts, whatever came after.
fn check_version(version: &str) -> Result<(), Failure> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = plain.split('.').map(str::parse::<u32>).collect();
    match parts[..] {
        [Ok(1), Ok(_), Ok(_)] => Ok(()),
        [Ok(_), Ok(_), Ok(_)] => {
            Err(invalid("ociVersion", format!("{version} is not 1.x of the specification")))
        }
        _ => Err(invalid("ociVersion", format!("{version:?} is no version"))),
    }
}

/// Mappings in the words of the kernel.
pub(super) fn ranges(mappings: &[IdMapping]) -> Vec<IdRange> {
    let range = |m: &IdMapping| IdRange { inside: m.container_id, outside: m.host_id, length: m.size };
    mappings.iter().map(range).collect()
}

fn limits(bundle: &Bundle, linux: &Linux) -> Result<Limits, Failure> {
    let mut limits = linux.resources.as_ref().map(resources::limits).transpose()?.unwrap_or_default();
    limits.pids_max = pids(bundle, limits.pids_max);
    Ok(limits)
}

/// A limit of no process at all would keep the first one out as well: with it, it is one. Before 1.3 of the specification it said nothing.
pub(crate) fn pids(bundle: &Bundle, limit: Option<i64>) -> Option<i64> {
    match limit {
        Some(0) if bundle.is_before(3) => None,
        Some(0) => Some(1),
        limit => limit,
    }
}

fn sysctls(linux: &Linux, apart: Namespaces) -> Result<Vec<(CString, CString)>, Failure> {
    let mut all = Vec::new();
    // In their order: what is wrong is told the same each time.
    let mut settings: Vec<_> = linux.sysctl.iter().flatten().collect();
    settings.sort();
    for (name, value) in settings {
        let (ipc, net) = (apart.contains(Namespaces::IPC), apart.contains(Namespaces::NET));
        let of_uts = name == "kernel.domainname" && apart.contains(Namespaces::UTS);
        // The rest of the rules hold for it too: checked by the name of another setting.
        let checked = match of_uts {
            true => sysctl::check("kernel.shmmax", value, true, net),
            false => sysctl::check(name, value, ipc, net),
        };
        checked.map_err(|problem| invalid("linux.sysctl", format!("{name} {problem}")))?;
        let path = name.replace('.', "/");
        all.push((c_path("linux.sysctl", Path::new(&path))?, c_path("linux.sysctl", Path::new(value))?));
    }
    // Some change others (net.ipv4.conf.all.*): the same configuration must come to the same each time.
    all.sort();
    Ok(all)
}

fn absolute(property: &str, path: &Path) -> Result<CString, Failure> {
    match path.is_absolute() {
        true => c_path(property, path),
        false => Err(invalid(property, format!("{path:?} is no absolute path"))),
    }
}

fn c_text(property: &str, text: Option<&str>) -> Result<Option<CString>, Failure> {
    text.map(|text| c_path(property, Path::new(text))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_what_is_hidden_is_hidden_once() {
        let list = |paths: &[&str]| Some(paths.iter().map(|path| (*path).to_owned()).collect());
        let masked =
            ["/proc/acpi", "/proc/acpi/", "/proc/keys", "/proc/acpi/x", "/proc/sys/kernel/x", "/proc/keys"];
        let masked = topmost("p", &list(&masked), &[]).unwrap();
        assert_eq!(
            masked,
            [c"/proc/acpi".to_owned(), c"/proc/keys".to_owned(), c"/proc/sys/kernel/x".to_owned()]
        );
        let read_only = ["/proc/sys", "/proc/acpi/a", "/proc/keys", "/proc/sys/net", "/proc/bus"];
        let read_only = topmost("p", &list(&read_only), &masked).unwrap();
        assert_eq!(read_only, [c"/proc/sys".to_owned(), c"/proc/bus".to_owned()]);
        assert!(topmost("p", &list(&["/a\0b"]), &[]).unwrap_err().to_string().contains("p: "));
    }

    #[test]
    fn pure_versions_of_the_specification() {
        for version in ["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0+dev", "1.0.0-rc5"] {
            check_version(version).unwrap();
        }
        for version in ["", "1", "1.0", "2.0.0", "0.9.0", "x", "1.x.0", "1.0.0.0"] {
            assert!(check_version(version).unwrap_err().to_string().contains("ociVersion"), "{version}");
        }
    }
}
