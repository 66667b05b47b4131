//! Loop devices, by the files behind them.

use std::fs;

use super::Scope;

pub(crate) fn find(scope: &Scope) -> Vec<String> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    let ours = files.filter(|file| match scope {
        Scope::Test(owner) => owner.is_named_in(file),
        Scope::Machine => true,
    });
    ours.map(|file| file.trim_end().to_owned()).collect()
}
