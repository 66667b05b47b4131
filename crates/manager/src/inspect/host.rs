//! What was asked of the host, in Docker's shape.

use crate::bundle::mounts::DEFAULT_SHM;
use crate::store::Record;
use crate::volumes::options;
use crate::{cgroups, ports};
use oci_spec::runtime::Spec;
use tinyd_engine::{
    Device, DeviceConfig, HostConfig, IoLimit, Resources, RestartPolicy, RestartPolicyConfig, SeccompProfile,
    Security, ThrottleConfig, Ulimit, UlimitConfig, UserNamespace,
};

pub(super) fn config(record: &Record, bundle: &Spec, restart: RestartPolicy) -> HostConfig {
    let spec = &record.spec;
    let binds = spec.binds.iter().map(|bind| {
        let mut words = options::words_of_bind(bind);
        words.extend(bind.propagation.spreads().then(|| bind.propagation.word()));
        format!("{}:{}{}", bind.source.display(), bind.target.display(), mode(&words))
    });
    let volumes = record.volumes.iter().map(|used| {
        let words = options::words_of_volume(&used.mount);
        format!("{}:{}{}", used.state.name, used.mount.target.display(), mode(&words))
    });
    let linux = bundle.linux().as_ref();
    HostConfig {
        binds: binds.chain(volumes).collect(),
        network_mode: network_mode(record),
        port_bindings: ports::wanted(record),
        log_config: crate::logs::options::shown(&spec.log),
        auto_remove: spec.remove,
        restart_policy: RestartPolicyConfig {
            name: restart.name().to_owned(),
            maximum_retry_count: restart.max_retries(),
        },
        after: spec.after.iter().map(ToString::to_string).collect(),
        readonly_rootfs: spec.read_only,
        memory: spec.resources.memory.unwrap_or(0),
        cpu_quota: spec.resources.cpu_quota.unwrap_or(0),
        cpu_period: spec.resources.cpu_period.unwrap_or(0),
        cpu_shares: spec.resources.cpu_shares.unwrap_or(0),
        cpuset_cpus: spec.resources.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: spec.resources.cpuset_mems.clone().unwrap_or_default(),
        memory_swap: spec.resources.memory_swap.unwrap_or(0),
        memory_reservation: spec.resources.memory_reservation.unwrap_or(0),
        pids_limit: spec.resources.pids.unwrap_or(cgroups::DEFAULT_PIDS),
        blkio_device_read_bps: throttles(&spec.resources, |limit| limit.read_bps),
        blkio_device_write_bps: throttles(&spec.resources, |limit| limit.write_bps),
        blkio_device_read_iops: throttles(&spec.resources, |limit| limit.read_iops),
        blkio_device_write_iops: throttles(&spec.resources, |limit| limit.write_iops),
        hugetlb_limits: spec
            .resources
            .hugepages
            .iter()
            .map(|one| (one.page_size.clone(), one.bytes))
            .collect(),
        net_rate_egress: spec.resources.net_egress.unwrap_or(0),
        net_rate_ingress: spec.resources.net_ingress.unwrap_or(0),
        net_cls_classid: spec.resources.net_class.unwrap_or(0),
        devices: spec.devices.iter().map(device).collect(),
        privileged: spec.security.privileged,
        cap_add: spec.security.cap_add.clone(),
        cap_drop: spec.security.cap_drop.clone(),
        init: spec.init,
        ulimits: spec.ulimits.iter().map(ulimit).collect(),
        sysctls: spec.sysctls.clone(),
        storage_opt: spec
            .storage_size
            .map(|size| ("size".to_owned(), size.to_string()))
            .into_iter()
            .collect(),
        shm_size: spec.shm_size.unwrap_or(DEFAULT_SHM),
        tmpfs: spec
            .tmpfs
            .iter()
            .map(|one| (one.target.display().to_string(), one.options.join(",")))
            .collect(),
        security_opt: security_opt(&spec.security),
        userns_mode: match spec.userns {
            UserNamespace::Auto => "auto".to_owned(),
            UserNamespace::Host => "host".to_owned(),
        },
        cgroup_parent: format!("/{}", cgroups::parent(spec)),
        cgroup_path: format!("/{}", cgroups::path(record)),
        masked_paths: linux.and_then(|linux| linux.masked_paths().clone()).unwrap_or_default(),
        readonly_paths: linux.and_then(|linux| linux.readonly_paths().clone()).unwrap_or_default(),
    }
}

/// What stands behind the last colon, with the colon.
fn mode(words: &[&str]) -> String {
    if words.is_empty() { String::new() } else { format!(":{}", words.join(",")) }
}

/// The word by which its first network is asked for.
fn network_mode(record: &Record) -> String {
    match (&record.netns_of, record.places.first()) {
        (Some(other), _) => format!("container:{other}"),
        (None, Some(place)) => place.name().to_owned(),
        (None, None) => String::new(),
    }
}

fn throttles(resources: &Resources, rate: fn(&IoLimit) -> Option<u64>) -> Vec<ThrottleConfig> {
    let limited = resources.io.iter().filter_map(|limit| Some((limit, rate(limit)?)));
    limited.map(|(limit, rate)| ThrottleConfig { path: limit.device.display().to_string(), rate }).collect()
}

fn device(device: &Device) -> DeviceConfig {
    DeviceConfig {
        path_on_host: device.source.display().to_string(),
        path_in_container: device.target.display().to_string(),
        cgroup_permissions: device.access.clone(),
    }
}

fn ulimit(limit: &Ulimit) -> UlimitConfig {
    let number = |value: Option<u64>| value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX));
    UlimitConfig { name: limit.name.clone(), soft: number(limit.soft), hard: number(limit.hard) }
}

fn security_opt(security: &Security) -> Vec<String> {
    let seccomp = match &security.seccomp {
        SeccompProfile::Default => None,
        SeccompProfile::Unconfined => Some("seccomp=unconfined".to_owned()),
        SeccompProfile::Custom(profile) => Some(format!("seccomp={profile}")),
    };
    let switches = [(security.no_new_privileges, "no-new-privileges"), (security.no_32bit, "no-32bit")];
    let on = switches.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned());
    on.chain(seccomp).collect()
}
