//! All that is known of a container.

use super::messages;

messages! {
    ContainerInspect {
        id, created, path, args, state, image, name, driver, runtime, log_path, hostname_path, hosts_path,
        resolv_conf_path, bundle, graph_driver, host_config, mounts, config, network_settings, namespaces, restart_count
    }
    ContainerState {
        status, running, paused, restarting, oom_killed, dead, pid, monitor_pid, exit_code, exit_unknown,
        error, started_at, finished_at, log_lost_bytes, health
    }
    HealthState { status, failing_streak, log }
    HealthLogEntry { start, end, exit_code, output }
    HealthConfig { test, interval, timeout, start_period, retries, on_unhealthy }
    LogConfig { kind, config }
    RestartPolicyConfig { name, maximum_retry_count }
    GraphDriver { name, data }
    HostConfig {
        binds, network_mode, port_bindings, auto_remove, readonly_rootfs, memory, cpu_quota, cpu_period,
        cpu_shares, cpuset_cpus, cpuset_mems, memory_swap, memory_reservation, pids_limit,
        blkio_device_read_bps, blkio_device_write_bps, blkio_device_read_iops, blkio_device_write_iops,
        hugetlb_limits, net_rate_egress, net_rate_ingress, net_cls_classid, devices, privileged, cap_add,
        cap_drop, init, ulimits, sysctls, shm_size, storage_opt, tmpfs, security_opt, userns_mode,
        cgroup_parent, cgroup_path, masked_paths, readonly_paths, log_config, restart_policy,
        after
    }
    ThrottleConfig { path, rate }
    DeviceConfig { path_on_host, path_in_container, cgroup_permissions }
    UlimitConfig { name, soft, hard }
    MountPoint { kind, name, source, subpath, destination, driver, mode, writable, id_mapped, propagation }
    ContainerConfig {
        hostname, user, tty, open_stdin, env, cmd, image, working_dir, entrypoint, labels, stop_signal,
        stop_timeout, secrets, healthcheck
    }
    SecretConfig { name, target, uid, gid, mode }
    NetworkSettings {
        ip_address, ip_prefix_len, gateway, global_ipv6_address, mac_address, ports, sandbox_key, networks
    }
    EndpointSettings {
        aliases, interface, ip_address, ip_prefix_len, gateway, global_ipv6_address, global_ipv6_prefix_len,
        mac_address
    }
    PortBinding { host_ip, host_port }
}
