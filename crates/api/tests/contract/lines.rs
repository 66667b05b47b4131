//! A contract as lines, one for each thing that a client relies on.

use std::collections::BTreeSet;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
};

/// Ours; what we import of google's does not change.
const PACKAGE: &str = "tinyd.v1";

/// All of them.
pub(crate) fn lines(contract: &FileDescriptorSet) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in contract.file.iter().filter(|file| file.package() == PACKAGE) {
        for message in &file.message_type {
            of_message(PACKAGE, message, &mut lines);
        }
        for kind in &file.enum_type {
            of_enum(PACKAGE, kind, &mut lines);
        }
        for service in &file.service {
            let name = format!("{PACKAGE}.{}", service.name());
            lines.extend(service.method.iter().map(|method| of_call(&name, method)));
        }
    }
    lines
}

fn of_message(outer: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let name = format!("{outer}.{}", message.name());
    lines.insert(format!("{name} message"));
    lines.extend(message.field.iter().map(|field| of_field(&name, message, field)));
    // The end of a range is not part of it.
    let numbers = message.reserved_range.iter().flat_map(|range| range.start()..range.end());
    reserve(&name, numbers, &message.reserved_name, lines);
    for kind in &message.enum_type {
        of_enum(&name, kind, lines);
    }
    let is_map = |inner: &DescriptorProto| inner.options.as_ref().is_some_and(|options| options.map_entry());
    for inner in message.nested_type.iter().filter(|inner| !is_map(inner)) {
        of_message(&name, inner, lines);
    }
}

fn of_field(message_name: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let map = message.nested_type.iter().find(|inner| {
        inner.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().ends_with(&format!(".{}.{}", message.name(), inner.name()))
    });
    let (kind, cardinality) = match map {
        Some(entry) => {
            let kinds: Vec<String> = entry.field.iter().map(type_of).collect();
            (format!("map<{}>", kinds.join(",")), "map".to_owned())
        }
        None => (type_of(field), cardinality(message, field)),
    };
    format!("{message_name}.{} = {} {kind} {cardinality}", field.name(), field.number())
}

/// `uint32`, or the full name of a message or enum.
fn type_of(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

fn cardinality(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    if field.label() == Label::Repeated {
        "repeated".to_owned()
    } else if field.proto3_optional() {
        "optional".to_owned()
    } else if let Some(index) = field.oneof_index {
        let choice = usize::try_from(index).ok().and_then(|index| message.oneof_decl.get(index));
        format!("oneof {}", choice.map_or("?", |choice| choice.name()))
    } else {
        "single".to_owned()
    }
}

fn of_enum(outer: &str, kind: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    let name = format!("{outer}.{}", kind.name());
    let line = |value: &prost_types::EnumValueDescriptorProto| {
        format!("{name}.{} = {} value", value.name(), value.number())
    };
    lines.extend(kind.value.iter().map(line));
    // Here the end of a range is part of it.
    let numbers = kind.reserved_range.iter().flat_map(|range| range.start()..=range.end());
    reserve(&name, numbers, &kind.reserved_name, lines);
}

fn reserve(name: &str, numbers: impl Iterator<Item = i32>, names: &[String], lines: &mut BTreeSet<String>) {
    lines.extend(numbers.map(|number| format!("{name} reserved {number}")));
    lines.extend(names.iter().map(|word| format!("{name} reserved {word}")));
}

fn of_call(service: &str, method: &MethodDescriptorProto) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    format!(
        "{service}.{} ({}{}) returns ({}{})",
        method.name(),
        stream(method.client_streaming()),
        method.input_type().trim_start_matches('.'),
        stream(method.server_streaming()),
        method.output_type().trim_start_matches('.'),
    )
}
