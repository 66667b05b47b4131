//! Namespaces, id maps, limits, settings, hidden paths and the seccomp profile.

use super::{Host, hidden, id_map};
use crate::cgroups;
use crate::error::{Error, Result};
use crate::store::Record;
use crate::validate;
use oci_spec::runtime::{
    Linux, LinuxCpu, LinuxMemory, LinuxNamespace, LinuxNamespaceType, LinuxPids, LinuxResources, LinuxSeccomp,
};
use std::collections::HashMap;
use std::path::PathBuf;
use tinyd_engine::{Resources, SeccompProfile};
use tinyd_net::Namespace;

pub(super) fn linux(record: &Record, host: &Host) -> Result<Linux> {
    let own_network = record.netns != Namespace::Host;
    let map = id_map(record);
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(own_network, map.is_some())))
        .set_uid_mappings(map.clone())
        .set_gid_mappings(map)
        .set_sysctl(Some(sysctl(record, own_network)).filter(|all| !all.is_empty()))
        .set_resources(Some(resources(&record.spec.resources)))
        .set_cgroups_path(Some(PathBuf::from(format!("/{}", cgroups::path(&record.id)))))
        .set_masked_paths(Some(host.masked.clone()))
        .set_readonly_paths(Some(hidden::READ_ONLY.map(str::to_owned).to_vec()))
        .set_seccomp(seccomp(record, host)?);
    Ok(linux)
}

fn namespaces(own_network: bool, own_users: bool) -> Vec<LinuxNamespace> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
    let kinds = [Pid, Mount, Uts, Ipc, Cgroup].into_iter().chain(own_network.then_some(Network));
    kinds
        .chain(own_users.then_some(User))
        .map(|kind| {
            let mut namespace = LinuxNamespace::default();
            namespace.set_typ(kind);
            namespace
        })
        .collect()
}

/// Ports below 1024 and ping for everybody inside, so that neither needs a capability; and what was asked for.
fn sysctl(record: &Record, own_network: bool) -> HashMap<String, String> {
    let mut all = HashMap::new();
    if own_network {
        // A group that the user namespace does not map cannot be named.
        let groups = if record.slot.is_some() { "0 65535" } else { "0 2147483647" };
        all.insert("net.ipv4.ping_group_range".to_owned(), groups.to_owned());
        all.insert("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned());
    }
    all.extend(record.spec.sysctls.clone());
    all
}

pub(super) fn resources(wanted: &Resources) -> LinuxResources {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let mut resources = LinuxResources::default();
    if wanted.memory.is_some() || wanted.memory_swap.is_some() || wanted.memory_reservation.is_some() {
        let mut memory = LinuxMemory::default();
        memory.set_limit(wanted.memory.map(signed));
        memory.set_swap(wanted.memory_swap);
        memory.set_reservation(wanted.memory_reservation.map(signed));
        resources.set_memory(Some(memory));
    }
    let (cpus, mems) = (&wanted.cpuset_cpus, &wanted.cpuset_mems);
    if wanted.cpu_quota.is_some() || wanted.cpu_shares.is_some() || cpus.is_some() || mems.is_some() {
        let mut cpu = LinuxCpu::default();
        cpu.set_shares(wanted.cpu_shares).set_cpus(cpus.clone()).set_mems(mems.clone());
        if let Some(quota) = wanted.cpu_quota {
            cpu.set_quota(Some(signed(quota)));
            cpu.set_period(Some(wanted.cpu_period.unwrap_or(cgroups::DEFAULT_PERIOD)));
        }
        resources.set_cpu(Some(cpu));
    }
    if wanted.pids != Some(-1) {
        let mut pids = LinuxPids::default();
        pids.set_limit(wanted.pids.unwrap_or(cgroups::DEFAULT_PIDS));
        resources.set_pids(Some(pids));
    }
    resources
}

/// The profile, taken over exactly as it is written: it has the shape of the OCI specification itself.
fn seccomp(record: &Record, host: &Host) -> Result<Option<LinuxSeccomp>> {
    let profile = match &record.spec.security.seccomp {
        SeccompProfile::Default => tinyd_ns::seccomp::default_profile(host.capabilities),
        SeccompProfile::Unconfined => return Ok(None),
        SeccompProfile::Custom(text) => validate::profile(text)?,
    };
    serde_json::to_vec(&profile)
        .and_then(|json| serde_json::from_slice(&json))
        .map(Some)
        .map_err(|error| Error::Bundle { part: "seccomp profile", source: error.into() })
}
