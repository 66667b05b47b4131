//! Networks.

use super::messages;

messages! {
    NetworkCreate { name, driver, subnets, gateways, ranges, excluded, ipv6, internal, mtu, options, labels }
    NetworkSummary { id, name, driver, subnets, internal, containers, created, labels }
    NetworkInspect {
        name, id, created, scope, driver, enable_ipv6, ipam, internal, containers, options, labels, links,
        notes
    }
    Ipam { driver, config }
    IpamConfig { subnet, gateway, ip_range, excluded }
    NetworkContainer { name, mac_address, ipv4_address, ipv6_address }
    Subnet { address, length }
}
