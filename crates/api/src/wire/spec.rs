//! What a container should be.

use super::{enums, messages};

messages! {
    ContainerSpec {
        image, command, entrypoint, name, hostname, env, workdir, user, tty, interactive, init, remove,
        read_only, resources, cgroup_parent, devices, binds, volumes, volumes_from, images, tmpfs, secrets,
        storage_size, shm_size, network, dns, ports, exposed, publish_all, userns, security, ulimits,
        sysctls, labels, log, stop_signal, stop_timeout, restart, health, after
    }
    Resources {
        cpu_quota, cpu_period, cpu_shares, cpuset_cpus, cpuset_mems, memory, memory_swap,
        memory_reservation, pids, io, hugepages, net_egress, net_ingress, net_class
    }
    LogOptions { driver, max_size, max_file }
    IoLimit { device, read_bps, write_bps, read_iops, write_iops }
    HugepageLimit { page_size, bytes }
    BindMount { source, target, read_only, strict, propagation, recursive, idmap, relabel }
    VolumeMount { name, target, read_only, subpath, idmap, relabel, no_copy, driver, options, labels }
    VolumesFrom { container, read_only }
    ImageMount { image, target, subpath, writable }
    TmpfsMount { target, options }
    SecretMount { name, target, uid, gid, mode }
    NetworkJoin { network, addresses, mac, aliases, interface }
    Dns { servers, search, options, hosts }
    ExtraHost { name, address }
    PortMapping { host_ip, host_port, container_port, protocol }
    PortChange { add, remove }
    HostPort { address, number, protocol }
    Security { no_new_privileges, seccomp, cap_add, cap_drop, privileged, no_32bit }
    Ulimit { name, soft, hard }
    Device { source, target, access }
    After { container, condition }
}

enums! {
    UserNamespace { Auto, Host }
    Propagation { RPrivate, Private, Slave, RSlave, Shared, RShared }
    LogDriver { Files, None }
    OnUnhealthy { None, Restart, Kill, Stop }
    Recursive { Enabled, Disabled, Writable, ReadOnly }
    Relabel { Shared, Private }
    PortProtocol { Tcp, Udp, Sctp }
    AfterCondition { Ready, Started, Healthy, Done }
}

#[cfg(test)]
mod tests {
    use crate::proto;
    use crate::wire::Wire;
    use std::collections::BTreeMap;
    use tinyd_engine::*;

    /// Something of everything.
    fn rich() -> ContainerSpec {
        ContainerSpec {
            entrypoint: Some(Vec::new()),
            name: Some("web".to_owned()),
            tty: true,
            resources: Resources {
                memory: Some(1 << 40),
                pids: Some(-1),
                io: vec![IoLimit { device: "/dev/sda".into(), read_bps: Some(0), ..Default::default() }],
                hugepages: vec![HugepageLimit { page_size: "2MB".to_owned(), bytes: 7 }],
                ..Default::default()
            },
            binds: vec![BindMount {
                relabel: Some(Relabel::Private),
                ..BindMount::new("/a", "/b").read_only()
            }],
            volumes: vec![VolumeMount {
                subpath: Some("x/y".into()),
                labels: BTreeMap::from([("stage".to_owned(), "test".to_owned())]),
                ..VolumeMount::anonymous("/v")
            }],
            secrets: vec![SecretMount { mode: Some(0), ..SecretMount::named("key") }],
            network: NetworkMode::Networks(vec![NetworkJoin {
                addresses: vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
                mac: Some([2, 0, 0, 0, 0, 255]),
                ..NetworkJoin::on("net")
            }]),
            dns: Dns { hosts: vec![ExtraHost { name: "h".to_owned(), address: None }], ..Default::default() },
            ports: vec![PortMapping {
                host_ip: None,
                host_port: Some(u16::MAX),
                container_port: 80,
                protocol: PortProtocol::Sctp,
            }],
            exposed: vec![(53, PortProtocol::Udp)],
            userns: UserNamespace::Host,
            security: Security { seccomp: SeccompProfile::Custom("{}".to_owned()), ..Default::default() },
            labels: BTreeMap::from([("a".to_owned(), String::new())]),
            log: LogOptions { driver: LogDriver::None, max_size: Some(u64::MAX), max_file: None },
            restart: RestartPolicy::OnFailure { max_retries: 3 },
            health: Some(HealthCheck { on_unhealthy: OnUnhealthy::Stop, ..HealthCheck::new("true") }),
            after: vec![After { container: "db".to_owned(), condition: AfterCondition::Done }],
            stop_signal: Some(-1),
            stop_timeout: Some(u32::MAX),
            ..ContainerSpec::new("host", ["sh", "-c", ""])
        }
    }

    #[test]
    fn a_container_travels_whole() {
        for spec in [rich(), ContainerSpec::default()] {
            let wire: proto::ContainerSpec = spec.clone().into_wire();
            assert_eq!(ContainerSpec::from_wire(wire), Ok(spec));
        }
    }

    #[test]
    fn what_a_client_leaves_away_is_the_default() {
        assert_eq!(ContainerSpec::from_wire(proto::ContainerSpec::default()), Ok(ContainerSpec::default()));
        assert_eq!(Wire::from_wire(0), Ok(Propagation::default()));
        assert_eq!(Wire::from_wire(0), Ok(Recursive::default()));
        assert_eq!(Wire::from_wire(0), Ok(UserNamespace::default()));
        assert_eq!(Wire::from_wire(0), Ok(PortProtocol::default()));
        assert_eq!(Wire::from_wire(0), Ok(AfterCondition::default()));
        assert_eq!(Wire::from_wire(0), Ok(Compression::default()));
    }

    #[test]
    fn what_no_engine_would_say_is_refused_by_its_field() {
        let wrong = |change: fn(&mut proto::ContainerSpec)| {
            let mut wire: proto::ContainerSpec = rich().into_wire();
            change(&mut wire);
            ContainerSpec::from_wire(wire).unwrap_err().to_string()
        };
        assert_eq!(
            wrong(|spec| spec.ports[0].container_port = 65_536),
            "ports: container_port: 65536 is too large"
        );
        assert_eq!(wrong(|spec| spec.userns = 7), "userns: 7 is no UserNamespace");
        let said = wrong(|spec| spec.dns.get_or_insert_default().servers.push("::g".to_owned()));
        assert_eq!(said, "dns: servers: \"::g\" is no address");
    }
}
