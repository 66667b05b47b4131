//! Limits. Numbers that are not said are not limited.

use super::DeviceType;
use super::read::objects;
use std::collections::HashMap;

objects! {
    Resources {
        devices: Option<Vec<DeviceAllowance>> = "devices",
        memory: Option<Memory> = "memory",
        cpu: Option<Cpu> = "cpu",
        pids: Option<Pids> = "pids",
        block_io: Option<BlockIo> = "blockIO",
        hugepage_limits: Option<Vec<HugepageLimit>> = "hugepageLimits",
        network: Option<Network> = "network",
        rdma: Option<HashMap<String, Rdma>> = "rdma",
        unified: Option<HashMap<String, String>> = "unified",
    }

    DeviceAllowance {
        allow: bool = "allow" or false,
        typ: Option<DeviceType> = "type",
        major: Option<i64> = "major",
        minor: Option<i64> = "minor",
        access: Option<String> = "access",
    }

    Memory {
        limit: Option<i64> = "limit",
        reservation: Option<i64> = "reservation",
        swap: Option<i64> = "swap",
        kernel_tcp: Option<i64> = "kernelTCP",
        swappiness: Option<u64> = "swappiness",
        disable_oom_killer: Option<bool> = "disableOOMKiller",
        use_hierarchy: Option<bool> = "useHierarchy",
        check_before_update: Option<bool> = "checkBeforeUpdate",
    }

    Cpu {
        shares: Option<u64> = "shares",
        quota: Option<i64> = "quota",
        burst: Option<u64> = "burst",
        period: Option<u64> = "period",
        realtime_runtime: Option<i64> = "realtimeRuntime",
        realtime_period: Option<u64> = "realtimePeriod",
        idle: Option<i64> = "idle",
        cpus: Option<String> = "cpus",
        mems: Option<String> = "mems",
    }

    Pids {
        limit: Option<i64> = "limit",
    }

    BlockIo {
        weight: Option<u16> = "weight",
        leaf_weight: Option<u16> = "leafWeight",
        weight_device: Option<Vec<WeightDevice>> = "weightDevice",
        throttle_read_bps_device: Option<Vec<ThrottleDevice>> = "throttleReadBpsDevice",
        throttle_write_bps_device: Option<Vec<ThrottleDevice>> = "throttleWriteBpsDevice",
        throttle_read_iops_device: Option<Vec<ThrottleDevice>> = "throttleReadIOPSDevice",
        throttle_write_iops_device: Option<Vec<ThrottleDevice>> = "throttleWriteIOPSDevice",
    }

    WeightDevice {
        major: i64 = "major" or 0,
        minor: i64 = "minor" or 0,
        weight: Option<u16> = "weight",
        leaf_weight: Option<u16> = "leafWeight",
    }

    ThrottleDevice {
        major: i64 = "major" or 0,
        minor: i64 = "minor" or 0,
        rate: u64 = "rate" or 0,
    }

    HugepageLimit {
        page_size: String = "pageSize" or String::new(),
        limit: Option<u64> = "limit",
    }

    Network {
        class_id: Option<u32> = "classID",
        priorities: Option<Vec<InterfacePriority>> = "priorities",
    }

    InterfacePriority {
        name: String = "name" or String::new(),
        priority: u32 = "priority" or 0,
    }

    Rdma {
        hca_handles: Option<u32> = "hcaHandles",
        hca_objects: Option<u32> = "hcaObjects",
    }
}
