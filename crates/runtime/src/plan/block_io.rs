//! Limits on disks: `linux.resources.blockIO`.

use super::spec::invalid;
use crate::Failure;
use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};
use tinyd_cgroup::{IoDeviceLimit, IoLimits};

/// The specification's weight is 10 to 1,000, and so is the one of the control groups.
pub(super) fn limits(block_io: &LinuxBlockIo) -> Result<IoLimits, Failure> {
    if block_io.leaf_weight().is_some() {
        return Err(invalid(
            "linux.resources.blockIO.leafWeight",
            "no scheduler of this kernel has it any more",
        ));
    }
    let mut devices = Vec::new();
    for weight in block_io.weight_device().iter().flatten() {
        if weight.leaf_weight().is_some() {
            return Err(invalid("linux.resources.blockIO.weightDevice", "a leafWeight cannot be had"));
        }
        let device = device(weight.major(), weight.minor())?;
        devices.push(IoDeviceLimit { weight: weight.weight(), ..device });
    }
    let mut add = |list: &Option<Vec<LinuxThrottleDevice>>, set: fn(IoDeviceLimit, i64) -> IoDeviceLimit| {
        for throttle in list.iter().flatten() {
            // No operation at all is no rate: the kernel reads 0 as "no limit".
            let rate = match throttle.rate() {
                0 => -1,
                rate => i64::try_from(rate).unwrap_or(-1),
            };
            devices.push(set(device(throttle.major(), throttle.minor())?, rate));
        }
        Ok(())
    };
    add(block_io.throttle_read_bps_device(), |d, rate| IoDeviceLimit { read_bps: Some(rate), ..d })?;
    add(block_io.throttle_write_bps_device(), |d, rate| IoDeviceLimit { write_bps: Some(rate), ..d })?;
    add(block_io.throttle_read_iops_device(), |d, rate| IoDeviceLimit { read_iops: Some(rate), ..d })?;
    add(block_io.throttle_write_iops_device(), |d, rate| IoDeviceLimit { write_iops: Some(rate), ..d })?;
    Ok(IoLimits { weight: block_io.weight(), devices })
}

fn device(major: i64, minor: i64) -> Result<IoDeviceLimit, Failure> {
    match (u32::try_from(major), u32::try_from(minor)) {
        (Ok(major), Ok(minor)) => Ok(IoDeviceLimit { major, minor, ..IoDeviceLimit::default() }),
        _ => Err(invalid("linux.resources.blockIO", format!("{major}:{minor} is no device"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rate_is_its_own_and_no_rate_is_no_limit() {
        let json = r#"{
            "weight": 500,
            "weightDevice": [{"major": 8, "minor": 0, "weight": 300}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1048576}],
            "throttleWriteBpsDevice": [{"major": 8, "minor": 16, "rate": 0}],
            "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 9}]
        }"#;
        let found = limits(&serde_json::from_str(json).unwrap()).unwrap();
        let sda = IoDeviceLimit { major: 8, minor: 0, ..IoDeviceLimit::default() };
        let wanted = [
            IoDeviceLimit { weight: Some(300), ..sda },
            IoDeviceLimit { read_bps: Some(1 << 20), ..sda },
            IoDeviceLimit { minor: 16, write_bps: Some(-1), ..sda },
            IoDeviceLimit { read_iops: Some(7), ..sda },
            IoDeviceLimit { write_iops: Some(9), ..sda },
        ];
        assert_eq!((found.weight, found.devices.as_slice()), (Some(500), wanted.as_slice()));
        for bad in
            [r#"{"leafWeight": 10}"#, r#"{"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}"#]
        {
            assert!(limits(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
