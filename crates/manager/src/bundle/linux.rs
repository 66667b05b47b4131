//! Namespaces, id maps, limits, settings, hidden paths and the seccomp profile.

use super::{Host, devices, hidden, id_map};
use crate::cgroups;
use crate::devices as host_devices;
use crate::error::{Error, Result};
use crate::store::Record;
use crate::validate;
use oci_spec::runtime::{
    Linux, LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxNamespace, LinuxNamespaceType,
    LinuxNetwork, LinuxPids, LinuxResources, LinuxSeccomp, LinuxThrottleDeviceBuilder,
};
use std::collections::HashMap;
use std::path::PathBuf;
use tinyd_engine::{IoLimit, Resources, SeccompProfile};
use tinyd_net::Namespace;
use tinyd_ns::seccomp::{Profile, default_profile};

pub(super) fn linux(record: &Record, host: &Host) -> Result<Linux> {
    let own_network = record.netns == Namespace::Own;
    let map = id_map(record);
    let privileged = record.spec.security.privileged;
    let mut resources = resources(&record.spec.resources)?;
    resources.set_devices(devices::oci_rules(&host.device_rules));
    let mut linux = Linux::default();
    linux
        .set_namespaces(Some(namespaces(own_network, map.is_some())))
        .set_uid_mappings(map.clone())
        .set_gid_mappings(map)
        .set_sysctl(Some(sysctl(record, own_network)).filter(|all| !all.is_empty()))
        .set_resources(Some(resources))
        .set_devices(devices::oci_nodes(record, host))
        .set_cgroups_path(Some(PathBuf::from(format!("/{}", cgroups::path(record)))))
        .set_masked_paths(Some(host.masked.clone()))
        .set_readonly_paths(Some(if privileged {
            Vec::new()
        } else {
            hidden::READ_ONLY.map(str::to_owned).to_vec()
        }))
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

pub(super) fn resources(wanted: &Resources) -> Result<LinuxResources> {
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
    resources.set_block_io(block_io(&wanted.io)?);
    let pages = wanted.hugepages.iter().map(|limit| {
        let mut oci = LinuxHugepageLimit::default();
        oci.set_page_size(limit.page_size.clone()).set_limit(signed(limit.bytes));
        oci
    });
    if wanted.net_class.is_some() {
        let mut network = LinuxNetwork::default();
        network.set_class_id(wanted.net_class);
        resources.set_network(Some(network));
    }
    resources.set_hugepage_limits(Some(pages.collect()).filter(|all: &Vec<_>| !all.is_empty()));
    Ok(resources)
}

/// The specification has a list of disks for each kind of limit.
fn block_io(limits: &[IoLimit]) -> Result<Option<LinuxBlockIo>> {
    if limits.is_empty() {
        return Ok(None);
    }
    let disks = limits.iter().map(|limit| host_devices::disk(&limit.device)).collect::<Result<Vec<_>>>()?;
    let list = |rate: fn(&IoLimit) -> Option<u64>| -> Result<_> {
        let limited = limits.iter().zip(&disks).filter_map(|(limit, disk)| Some((rate(limit)?, *disk)));
        let throttled = limited.map(|(rate, (major, minor))| {
            LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(rate).build()
        });
        let all = throttled.collect::<std::result::Result<Vec<_>, _>>();
        let all = all.map_err(|error| Error::Bundle { part: "limits of disks", source: error.into() })?;
        Ok(Some(all).filter(|all| !all.is_empty()))
    };
    let mut io = LinuxBlockIo::default();
    io.set_throttle_read_bps_device(list(|limit| limit.read_bps)?)
        .set_throttle_write_bps_device(list(|limit| limit.write_bps)?)
        .set_throttle_read_iops_device(list(|limit| limit.read_iops)?)
        .set_throttle_write_iops_device(list(|limit| limit.write_iops)?);
    Ok(Some(io))
}

/// The profile, taken over exactly as it is written: it has the shape of the OCI specification itself.
fn seccomp(record: &Record, host: &Host) -> Result<Option<LinuxSeccomp>> {
    let security = &record.spec.security;
    // Walls that were not asked for are taken away.
    let wanted = match &security.seccomp {
        SeccompProfile::Default if security.privileged => &SeccompProfile::Unconfined,
        wanted => wanted,
    };
    let mut profile = match wanted {
        SeccompProfile::Default => default_profile(host.capabilities),
        SeccompProfile::Unconfined if security.no_32bit => Profile::allow_native(),
        SeccompProfile::Unconfined => return Ok(None),
        SeccompProfile::Custom(text) => validate::profile(text)?,
    };
    if security.no_32bit {
        profile = profile.native_only();
    }
    serde_json::to_vec(&profile)
        .and_then(|json| serde_json::from_slice(&json))
        .map(Some)
        .map_err(|error| Error::Bundle { part: "seccomp profile", source: error.into() })
}
