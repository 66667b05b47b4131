//! From the OCI configuration to the plan of a start.

use super::cstrings::c_path;
use super::spec::{Bundle, invalid};
use super::{Plan, UserPlan, devices, mounts, process, resources, secrets, shared};
use crate::{Failure, StartRequest, annotation, defence, sysctl};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Spec};
use std::ffi::CString;
use std::path::Path;
use tinyd_fs::mount::Propagation;
use tinyd_ns::Namespaces;
use tinyd_ns::idmap::{IdMaps, IdRange};

/// Descriptors that travel to the child: far more than anyone mounts, and fewer than it has room for.
pub(crate) const MAX_PREPARED: usize = 200;

/// Overlays that a root file system may consist of.
pub(crate) const MAX_LAYERS: usize = 16;

/// The namespaces that a bundle's container has of its own.
pub(crate) fn namespaces_of(bundle: &Bundle) -> Result<Namespaces, Failure> {
    bundle.spec.linux().as_ref().map_or(Ok(Namespaces::empty()), namespaces)
}

/// The maps of its user namespace, if it has one.
pub(crate) fn id_maps_of(bundle: &Bundle) -> Result<Option<IdMaps>, Failure> {
    let Some(linux) = bundle.spec.linux() else { return Ok(None) };
    id_maps(linux, namespaces(linux)?)
}

/// Checks the configuration and works out the start.
pub(crate) fn build(bundle: &Bundle, request: &StartRequest) -> Result<Plan, Failure> {
    let spec = &bundle.spec;
    refuse_what_is_not_done(spec)?;
    let linux = spec.linux().as_ref().ok_or_else(|| invalid("linux", "is missing"))?;
    let namespaces = namespaces(linux)?;
    let id_maps = id_maps(linux, namespaces)?;
    let process = spec.process().as_ref().ok_or_else(|| invalid("process", "is missing"))?;
    let noted = |name| spec.annotations().as_ref().and_then(|all| all.get(name));
    let init = noted(annotation::INIT).is_some_and(|value| value == "true");
    let user = match noted(annotation::USER) {
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
        },
    )?;
    devices::place(linux.devices().as_deref().unwrap_or_default(), id_maps.as_ref(), &mut mounts)?;
    mounts.extend(secrets::plan(&request.secrets)?);
    shared::last(&mut mounts);
    if mounts.len() + request.rootfs.overlays.len() > MAX_PREPARED {
        return Err(invalid("mounts", format!("there are more than {MAX_PREPARED}")));
    }
    let paths = |property, list: &Option<Vec<String>>| {
        list.iter().flatten().map(|path| c_path(property, Path::new(path))).collect::<Result<Vec<_>, _>>()
    };
    let plan = Plan {
        namespaces: namespaces - Namespaces::CGROUP,
        cgroup_namespace: namespaces.contains(Namespaces::CGROUP),
        id_maps,
        hostname: c_text("hostname", spec.hostname().as_deref())?,
        domainname: c_text("domainname", spec.domainname().as_deref())?,
        layers,
        mounts,
        masked: paths("linux.maskedPaths", linux.masked_paths())?,
        read_only: paths("linux.readonlyPaths", linux.readonly_paths())?,
        sysctls: sysctls(linux, namespaces)?,
        root_read_only: spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false),
        root_propagation: linux.rootfs_propagation().as_deref().map(root_propagation).transpose()?.flatten(),
        shown_at: None,
        process: process::plan(process, bundle.seccomp.as_deref(), &request.id, request.window, init)?,
        user,
        limits: linux.resources().as_ref().map(resources::limits).transpose()?.unwrap_or_default(),
    };
    shared::check(&plan)?;
    Ok(defence::plan(plan))
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

/// What the OCI specification knows and this runtime does not do yet is refused, not ignored.
fn refuse_what_is_not_done(spec: &Spec) -> Result<(), Failure> {
    let linux = spec.linux().as_ref();
    let process = spec.process().as_ref();
    let present = [
        ("linux.intelRdt", linux.is_some_and(|l| l.intel_rdt().is_some())),
        ("linux.personality", linux.is_some_and(|l| l.personality().is_some())),
        ("linux.mountLabel", linux.is_some_and(|l| l.mount_label().is_some())),
        ("process.apparmorProfile", process.is_some_and(|p| p.apparmor_profile().is_some())),
        ("process.selinuxLabel", process.is_some_and(|p| p.selinux_label().is_some())),
        ("process.oomScoreAdj", process.is_some_and(|p| p.oom_score_adj().is_some())),
        ("process.scheduler", process.is_some_and(|p| p.scheduler().is_some())),
    ];
    match present.iter().find(|(_, present)| *present) {
        Some((property, _)) => Err(invalid(property, "is not supported by this version of tinyd-runtime")),
        None => Ok(()),
    }
}

fn namespaces(linux: &Linux) -> Result<Namespaces, Failure> {
    let mut all = Namespaces::empty();
    for namespace in linux.namespaces().iter().flatten() {
        if namespace.path().is_some() {
            return Err(invalid("linux.namespaces", "joining by path is not supported by this version"));
        }
        all |= match namespace.typ() {
            LinuxNamespaceType::Mount => Namespaces::MOUNT,
            LinuxNamespaceType::Cgroup => Namespaces::CGROUP,
            LinuxNamespaceType::Uts => Namespaces::UTS,
            LinuxNamespaceType::Ipc => Namespaces::IPC,
            LinuxNamespaceType::User => Namespaces::USER,
            LinuxNamespaceType::Pid => Namespaces::PID,
            LinuxNamespaceType::Network => Namespaces::NET,
            LinuxNamespaceType::Time => return Err(invalid("linux.namespaces", "time is not supported yet")),
        };
    }
    // Everything that follows takes place in the container's own mounts, and its end is the end of process 1.
    for (kind, name) in [(Namespaces::MOUNT, "mount"), (Namespaces::PID, "pid")] {
        if !all.contains(kind) {
            return Err(invalid("linux.namespaces", format!("{name} is missing")));
        }
    }
    Ok(all)
}

fn id_maps(linux: &Linux, namespaces: Namespaces) -> Result<Option<IdMaps>, Failure> {
    if !namespaces.contains(Namespaces::USER) {
        return Ok(None);
    }
    let of = |mappings: &Option<Vec<LinuxIdMapping>>| ranges(mappings.as_deref().unwrap_or_default());
    let maps = IdMaps { users: of(linux.uid_mappings()), groups: of(linux.gid_mappings()) };
    if maps.root().is_none() {
        return Err(invalid("linux.uidMappings", "user and group 0 must be mapped"));
    }
    Ok(Some(maps))
}

/// Mappings in the words of the kernel.
pub(super) fn ranges(mappings: &[LinuxIdMapping]) -> Vec<IdRange> {
    let range =
        |m: &LinuxIdMapping| IdRange { inside: m.container_id(), outside: m.host_id(), length: m.size() };
    mappings.iter().map(range).collect()
}

fn sysctls(linux: &Linux, namespaces: Namespaces) -> Result<Vec<(CString, CString)>, Failure> {
    let mut all = Vec::new();
    for (name, value) in linux.sysctl().iter().flatten() {
        let (ipc, net) = (namespaces.contains(Namespaces::IPC), namespaces.contains(Namespaces::NET));
        sysctl::check(name, value, ipc, net)
            .map_err(|problem| invalid("linux.sysctl", format!("{name} {problem}")))?;
        let path = format!("sys/{}", name.replace('.', "/"));
        all.push((c_path("linux.sysctl", Path::new(&path))?, c_path("linux.sysctl", Path::new(value))?));
    }
    // Some change others (net.ipv4.conf.all.*): the same configuration must come to the same each time.
    all.sort();
    Ok(all)
}

fn c_text(property: &str, text: Option<&str>) -> Result<Option<CString>, Failure> {
    text.map(|text| c_path(property, Path::new(text))).transpose()
}
