//! The contract keeps what it has promised: `proto/contract.lock` has a line for all that clients rely on, and none may change.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

mod contract {
    pub(crate) mod changes;
    pub(crate) mod lines;
}

use contract::changes::{Changes, changes};
use contract::lines::lines;

/// Set to `add`, new lines go into the lock: `cargo xtask contract`.
const VARIABLE: &str = "TINYD_CONTRACT";

const HEAD: &str = "\
# What clients of tinyd.v1 rely on, a line each: fields, values of enums, calls, and numbers and names that are never used again.
# The next release keeps every line. `cargo xtask contract` adds what is new; crates/api/README.md says more.
";

fn lock() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/contract.lock")
}

fn contract() -> FileDescriptorSet {
    FileDescriptorSet::decode(tinyd_api::proto::DESCRIPTORS).unwrap()
}

fn joined(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

#[test]
fn no_client_of_the_last_release_is_broken() {
    let now = lines(&contract());
    let found = changes(&fs::read_to_string(lock()).unwrap_or_default(), &now);
    assert!(
        found.broken.is_empty(),
        "clients of the last release would be broken:\n  {}\nPut back what was there and add something new beside it. A field \
         or a value of an enum may go when its number and its name are `reserved`.",
        found.broken.join("\n  ")
    );
    if std::env::var(VARIABLE).is_ok_and(|word| word == "add") {
        fs::write(lock(), format!("{HEAD}{}\n", joined(now))).unwrap();
        println!("{} new lines, {} retired", found.new.len(), found.retired.len());
        return;
    }
    assert!(
        found.new.is_empty() && found.retired.is_empty(),
        "the lock does not know yet what is new, or is reserved now:\n  {}\n`cargo xtask contract` writes it into {}, which is \
         committed with the change.",
        found.new.iter().chain(&found.retired).cloned().collect::<Vec<_>>().join("\n  "),
        lock().display()
    );
}

fn message<'a>(contract: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
    let mut all = contract.file.iter_mut().flat_map(|file| &mut file.message_type);
    all.find(|message| message.name() == name).unwrap()
}

fn field<'a>(contract: &'a mut FileDescriptorSet, of: &str, name: &str) -> &'a mut FieldDescriptorProto {
    message(contract, of).field.iter_mut().find(|field| field.name() == name).unwrap()
}

/// What is found when the contract is changed in this way.
fn changed(change: impl FnOnce(&mut FileDescriptorSet)) -> Changes {
    let mut contract = contract();
    let before = joined(lines(&contract));
    change(&mut contract);
    changes(&before, &lines(&contract))
}

#[track_caller]
fn assert_broken(found: &Changes, lines: &[&str]) {
    assert_eq!(found.broken, lines);
}

#[test]
fn a_number_that_changes_breaks_it() {
    let found = changed(|contract| field(contract, "WindowSize", "rows").number = Some(7));
    assert_broken(
        &found,
        &["tinyd.v1.WindowSize.rows = 1 uint32 single, is now: tinyd.v1.WindowSize.rows = 7 uint32 single"],
    );
}

#[test]
fn a_type_or_a_cardinality_that_changes_breaks_it() {
    let found = changed(|contract| field(contract, "WindowSize", "rows").set_type(Type::Uint64));
    assert_broken(
        &found,
        &["tinyd.v1.WindowSize.rows = 1 uint32 single, is now: tinyd.v1.WindowSize.rows = 1 uint64 single"],
    );
    let found = changed(|contract| {
        field(contract, "ContainerSummary", "exit").type_name = Some(".tinyd.v1.WindowSize".to_owned());
    });
    assert_eq!(found.broken.len(), 1, "{found:?}");
    let found = changed(|contract| {
        let ports = field(contract, "ContainerSummary", "ports");
        ports.set_label(prost_types::field_descriptor_proto::Label::Optional);
    });
    assert_eq!(found.broken.len(), 1, "{found:?}");
    let found = changed(|contract| field(contract, "ContainerSpec", "name").proto3_optional = Some(false));
    assert_eq!(found.broken.len(), 1, "{found:?}");
    // What one of a choice is, is its way to be set.
    let found = changed(|contract| field(contract, "ArchiveOutput", "data").oneof_index = None);
    assert_eq!(found.broken.len(), 1, "{found:?}");
}

#[test]
fn a_field_that_goes_breaks_it_unless_its_number_and_name_are_reserved() {
    let gone = "tinyd.v1.WindowSize.columns = 2 uint32 single";
    let remove = |contract: &mut FileDescriptorSet| {
        message(contract, "WindowSize").field.retain(|field| field.name() != "columns");
    };
    let reserve_number = |contract: &mut FileDescriptorSet| {
        let range = prost_types::descriptor_proto::ReservedRange { start: Some(2), end: Some(3) };
        message(contract, "WindowSize").reserved_range.push(range);
    };
    let reserve_name = |contract: &mut FileDescriptorSet| {
        message(contract, "WindowSize").reserved_name.push("columns".to_owned());
    };
    assert_broken(&changed(remove), &[&format!("{gone}, is no more")]);
    let found = changed(|contract| {
        remove(contract);
        reserve_number(contract);
    });
    assert_broken(&found, &[&format!("{gone}, is no more")]);
    let found = changed(|contract| {
        remove(contract);
        reserve_number(contract);
        reserve_name(contract);
    });
    assert_broken(&found, &[]);
    assert_eq!(found.retired, [gone]);
    // And these are kept from then on, so that nobody takes the number for something else.
    assert_eq!(found.new, ["tinyd.v1.WindowSize reserved 2", "tinyd.v1.WindowSize reserved columns"]);
    let lock = "tinyd.v1.WindowSize reserved 2\n";
    assert_eq!(changes(lock, &lines(&contract())).broken.len(), 1);
}

#[test]
fn streaming_that_changes_breaks_it_and_so_does_a_call_that_goes() {
    fn containers(contract: &mut FileDescriptorSet) -> &mut prost_types::ServiceDescriptorProto {
        let mut all = contract.file.iter_mut().flat_map(|file| &mut file.service);
        all.find(|service| service.name() == "Containers").unwrap()
    }
    let found = changed(|contract| {
        let logs = containers(contract).method.iter_mut().find(|method| method.name() == "Logs").unwrap();
        logs.server_streaming = Some(false);
    });
    let name = "tinyd.v1.Containers.Logs";
    let was = format!("{name} (tinyd.v1.ContainerLogsRequest) returns (stream tinyd.v1.LogPiece)");
    let is = format!("{name} (tinyd.v1.ContainerLogsRequest) returns (tinyd.v1.LogPiece)");
    assert_broken(&found, &[&format!("{was}, is now: {is}")]);
    let found = changed(|contract| containers(contract).method.retain(|method| method.name() != "Logs"));
    assert_broken(&found, &[&format!("{was}, is no more")]);
}

#[test]
fn a_value_of_an_enum_that_changes_breaks_it() {
    let found = changed(|contract| {
        let mut all = contract.file.iter_mut().flat_map(|file| &mut file.enum_type);
        let kinds = all.find(|kind| kind.name() == "FailureKind").unwrap();
        kinds.value[2].number = Some(99);
    });
    let name = "tinyd.v1.FailureKind.FAILURE_KIND_NOT_FOUND";
    assert_broken(&found, &[&format!("{name} = 2 value, is now: {name} = 99 value")]);
}

#[test]
fn what_is_added_breaks_nothing_and_is_told() {
    let found = changed(|contract| {
        let mut further = field(contract, "WindowSize", "rows").clone();
        (further.name, further.number) = (Some("pixels".to_owned()), Some(9));
        message(contract, "WindowSize").field.push(further);
    });
    assert_broken(&found, &[]);
    assert_eq!(found.new, ["tinyd.v1.WindowSize.pixels = 9 uint32 single"]);
}
