use super::*;
use crate::testing::firewall_conformance;

fn network(number: u8) -> NetworkRules {
    let subnets = [format!("10.99.{number}.0/24"), format!("fd00:99:{number}::/64")];
    NetworkRules {
        bridge: format!("br-{number}"),
        subnets: subnets.map(|text| text.parse().unwrap()).to_vec(),
        internal: false,
        sources: Vec::new(),
    }
}

#[test]
fn root_iptables_keeps_the_contract_of_firewalls() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    for variant in [Variant::Usual, Variant::Nft, Variant::Legacy] {
        let programs = match Programs::find(variant) {
            Ok(programs) => programs,
            Err(error) => {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
                eprintln!("SKIPPED ({error})");
                continue;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        let work = || {
            tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET).unwrap();
            let make = || -> Box<dyn Firewall> {
                Box::new(Iptables::new("tinyd-test", &lock).with_programs(programs.clone()))
            };
            firewall_conformance(&make, [&network(1), &network(2)]);
            make().probe().unwrap();
        };
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    }
}

#[test]
fn root_the_first_program_that_the_kernel_answers_is_used() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED (needs root)");
        return;
    }
    let Ok(legacy) = Programs::find(Variant::Legacy) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "iptables-legacy is not installed");
        eprintln!("SKIPPED (iptables-legacy is not installed)");
        return;
    };
    let iptables = Iptables::new("tinyd-test", "/nowhere/lock");
    let absent = || Programs::find(Variant::Usual).map(|_| Programs::failing());
    let work = || {
        tinyd_ns::join::unshare(tinyd_ns::Namespaces::NET).unwrap();
        let read = iptables.read_by(Family::V4, [absent(), Ok(legacy.clone())]).unwrap();
        assert_eq!(read.programs, legacy);
        assert!(read.there.is_empty());
        let error = iptables.read_by(Family::V4, [absent(), absent()]).unwrap_err().to_string();
        assert!(error.contains("cannot list the rules: /bin/false ended with exit status: 1"), "{error}");
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap());
}
