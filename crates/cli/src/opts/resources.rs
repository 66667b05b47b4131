//! The limits that `run`, `create` and `update` share.

use super::{devices, limits, rate};
use tinyd_engine::{HugepageLimit, Resources};

/// Limits of a container.
#[derive(clap::Args, Debug)]
pub(crate) struct ResourceOptions {
    /// CPU time in microseconds of each 100000: from 10000 (a tenth of a processor) to 100000 (one)
    #[arg(long, value_name = "N", value_parser = limits::cpu_quota, conflicts_with = "cpus")]
    cpu: Option<u64>,
    /// Number of processors, such as 2.5
    #[arg(long, value_name = "N", value_parser = limits::cpus)]
    cpus: Option<u64>,
    /// Weight where processors are short, from 2 to 262144; others have 1024 (also -cpushare)
    #[arg(long, alias = "cpushare", value_name = "N", value_parser = limits::cpu_shares)]
    cpu_shares: Option<u64>,
    /// The processors that it may use, such as 0-2,7 (also -cpuset)
    #[arg(long, alias = "cpuset", value_name = "LIST", value_parser = limits::cpu_list)]
    cpuset_cpus: Option<String>,
    /// The memory nodes that it may use, such as 0,1
    #[arg(long, value_name = "LIST", value_parser = limits::cpu_list)]
    cpuset_mems: Option<String>,
    /// Most memory, in binary units: 100m, 1.5g (also --mem)
    #[arg(short, long, alias = "mem", value_name = "SIZE", value_parser = limits::memory)]
    memory: Option<u64>,
    /// Most memory and swap together, at least --memory; -1 for no limit
    #[arg(long, value_name = "SIZE", value_parser = limits::memory_swap, allow_negative_numbers = true)]
    memory_swap: Option<i64>,
    /// Memory that it keeps when memory is short
    #[arg(long, value_name = "SIZE", value_parser = limits::memory)]
    memory_reservation: Option<u64>,
    /// Most processes and threads; -1 for no limit. 2048 by default
    #[arg(long, value_name = "N", value_parser = limits::pids, allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// Most bytes to read from a disk in a second: /dev/sda:10m; may be given again
    #[arg(long, value_name = "DEVICE:RATE", value_parser = devices::bytes)]
    device_read_bps: Vec<devices::Rate>,
    /// Most bytes to write to a disk in a second: /dev/sda:10m; may be given again
    #[arg(long, value_name = "DEVICE:RATE", value_parser = devices::bytes)]
    device_write_bps: Vec<devices::Rate>,
    /// Most reads of a disk in a second: /dev/sda:100; may be given again
    #[arg(long, value_name = "DEVICE:RATE", value_parser = devices::operations)]
    device_read_iops: Vec<devices::Rate>,
    /// Most writes to a disk in a second: /dev/sda:100; may be given again
    #[arg(long, value_name = "DEVICE:RATE", value_parser = devices::operations)]
    device_write_iops: Vec<devices::Rate>,
    /// Most memory in huge pages of a size: 2MB=64m; may be given again
    #[arg(long, value_name = "SIZE=LIMIT", value_parser = devices::hugepages)]
    hugetlb_limit: Vec<HugepageLimit>,
    /// Most traffic out of it in a second, by each of its networks, in tc's units: 10mbit, 500kbit, 1.5mbps (megabytes), none
    #[arg(long, value_name = "RATE", value_parser = rate::traffic)]
    net_rate_egress: Option<u64>,
    /// Most traffic to it in a second, by each of its networks
    #[arg(long, value_name = "RATE", value_parser = rate::traffic)]
    net_rate_ingress: Option<u64>,
    /// Mark its packets with this class for traffic control, where cgroup v1's net_cls is mounted: 10:1 or 0x100001
    #[arg(long, value_name = "CLASS", value_parser = rate::class)]
    net_cls_classid: Option<u32>,
}

impl ResourceOptions {
    pub(crate) fn into_resources(self) -> Resources {
        let cpu_quota = self.cpu.or(self.cpus);
        Resources {
            cpu_quota,
            cpu_period: cpu_quota.map(|_| limits::PERIOD),
            cpu_shares: self.cpu_shares,
            cpuset_cpus: self.cpuset_cpus,
            cpuset_mems: self.cpuset_mems,
            memory: self.memory,
            memory_swap: self.memory_swap,
            memory_reservation: self.memory_reservation,
            pids: self.pids_limit,
            io: devices::io(
                self.device_read_bps,
                self.device_write_bps,
                self.device_read_iops,
                self.device_write_iops,
            ),
            hugepages: self.hugetlb_limit,
            net_egress: self.net_rate_egress,
            net_ingress: self.net_rate_ingress,
            net_class: self.net_cls_classid,
        }
    }
}
