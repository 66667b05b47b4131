//! Both drivers keep the contract, or say what the kernel lacks.

use crate::ground::{Other, root_only};
use crate::place::{both_families, has_ipvlan, links, on_a_host};
use tinyd_net::{Error, LanDriver, NetworkDriver};

#[test]
fn root_macvlan_keeps_the_drivers_contract() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        // The container's namespace is the host's own in some of the cases.
        let host = Other::here();
        for mode in ["bridge", "private", "vepa", "passthru"] {
            let wanted = both_families(&[("mode", mode)]);
            tinyd_net::testing::conformance(&|| Box::new(LanDriver::macvlan(folder.path())), &wanted);
            assert_eq!(links(&host), ["lo", "uplink0"], "mode {mode} left something");
        }
    });
    assert!(!folder.path().exists(), "the last network took everything with it, the folder too");
}

#[test]
fn root_ipvlan_keeps_the_drivers_contract_or_says_what_the_kernel_lacks() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let host = Other::here();
        let make = || LanDriver::ipvlan(folder.path());
        for mode in ["l2", "l3", "l3s"] {
            let wanted = both_families(&[("mode", mode)]);
            if has_ipvlan() {
                tinyd_net::testing::conformance(&|| Box::new(make()), &wanted);
            } else {
                for error in [make().validate(&wanted).unwrap_err(), make().create(&wanted).unwrap_err()] {
                    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
                    let said = "network \"lan\": the kernel's driver ipvlan (module ipvlan; \"modprobe ipvlan\" where it is \
                                on the disk) is not there";
                    assert_eq!(error.to_string(), said);
                }
            }
            assert_eq!(links(&host), ["lo", "uplink0"], "mode {mode} left something");
        }
    });
    assert!(!has_ipvlan() || !folder.path().exists(), "the last network took everything with it");
}
