//! Between the engine's errors and the statuses of gRPC.
//!
//! A status tells its code and message to any client. In its details, as `google.rpc.Status` has them, lies a [`Failure`] for
//! those who know this contract: with it an error is the same whether the engine runs in this process or in another.

use crate::proto::{self, Failure, FailureKind};
use crate::wire::Malformed;
use prost::Message;
use tinyd_engine::{Error, ErrorKind};
use tonic::{Code, Status};

/// What a failure may say altogether. It travels in a header, and clients take no more than some KiB of them.
const MOST_BYTES: usize = 3 * 1024;

/// An error as it travels.
pub fn of_error(error: &Error) -> Status {
    let (code, _) = kinds(error.kind());
    let failure = failure_of(error);
    let message = failure.message.clone();
    let any = prost_types::Any { type_url: type_url(), value: failure.encode_to_vec() };
    let details = proto::Status { code: code as i32, message: message.clone(), details: vec![any] };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// What has travelled. A status that is not one of an engine's is an error that says so.
pub fn to_error(status: &Status) -> Error {
    match details(status) {
        Some(failure) => error_of(failure),
        None => foreign(status),
    }
}

/// An error as a message.
pub(crate) fn failure_of(error: &Error) -> Failure {
    let mut room = MOST_BYTES;
    Failure {
        kind: kinds(error.kind()).1.into(),
        message: fitting(&error.to_string(), &mut room),
        hint: error.hint().map(|hint| fitting(hint, &mut room)),
        causes: error.causes().iter().map(|cause| fitting(cause, &mut room)).collect(),
    }
}

/// The error that a message of its own tells.
pub(crate) fn read_failure(bytes: &[u8]) -> Error {
    error_of(Failure::decode(bytes).unwrap_or_default())
}

fn error_of(failure: Failure) -> Error {
    let error = Error::with_causes(error_kind(failure.kind()), failure.message, failure.causes);
    match failure.hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// A message that is not what the contract says.
pub fn of_malformed(malformed: &Malformed) -> Status {
    of_error(&Error::new(ErrorKind::InvalidInput, format!("the request is malformed: {malformed}")))
}

fn details(status: &Status) -> Option<Failure> {
    let details = proto::Status::decode(status.details()).ok()?;
    let any = details.details.into_iter().find(|any| any.type_url == type_url())?;
    Failure::decode(any.value.as_slice()).ok()
}

/// What gRPC itself has to say.
fn foreign(status: &Status) -> Error {
    let said = match status.message() {
        "" => status.code().description(),
        message => message,
    };
    match status.code() {
        Code::Unavailable => Error::new(ErrorKind::Internal, format!("the daemon is gone: {said}"))
            .with_hint("is it still running? What it started goes on without it"),
        Code::Unimplemented => {
            Error::new(ErrorKind::Unsupported, format!("the daemon does not know this: {said}"))
        }
        Code::Unauthenticated | Code::PermissionDenied => {
            Error::new(ErrorKind::Permission, format!("the daemon refused this: {said}"))
        }
        Code::ResourceExhausted | Code::OutOfRange => Error::with_causes(
            ErrorKind::InvalidInput,
            format!("the daemon does not take this much: {said}"),
            innermost(status),
        ),
        // Of TLS 1.3 a server's no to a certificate comes after the handshake, and may be lost with the connection: then the call that
        // was to go over it is called off.
        Code::Unknown | Code::Cancelled => Error::with_causes(
            ErrorKind::Internal,
            format!("the connection to the daemon broke: {said}"),
            innermost(status),
        )
        .with_hint("it has ended, or does not know this client's certificate"),
        _ => Error::with_causes(
            ErrorKind::Internal,
            format!("the daemon could not answer: {said}"),
            innermost(status),
        ),
    }
}

/// What the kernel, or TLS, had against it, where an error says that: each layer above says what the one beneath it says, or that
/// it failed.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut beneath = error.source();
    let mut said = None;
    while let Some(cause) = beneath {
        said = Some(cause.to_string());
        beneath = cause.source();
    }
    said.into_iter().collect()
}

fn type_url() -> String {
    "type.googleapis.com/tinyd.v1.Failure".to_owned()
}

/// A text cut to the room that is left.
fn fitting(text: &str, room: &mut usize) -> String {
    let end = text.floor_char_boundary(*room);
    *room -= end;
    text.get(..end).unwrap_or_default().to_owned()
}

fn kinds(kind: ErrorKind) -> (Code, FailureKind) {
    match kind {
        ErrorKind::InvalidInput => (Code::InvalidArgument, FailureKind::InvalidInput),
        ErrorKind::NotFound => (Code::NotFound, FailureKind::NotFound),
        ErrorKind::Ambiguous => (Code::InvalidArgument, FailureKind::Ambiguous),
        ErrorKind::Conflict => (Code::AlreadyExists, FailureKind::Conflict),
        ErrorKind::WrongState => (Code::FailedPrecondition, FailureKind::WrongState),
        ErrorKind::Permission => (Code::PermissionDenied, FailureKind::Permission),
        ErrorKind::Unsupported => (Code::Unimplemented, FailureKind::Unsupported),
        ErrorKind::CommandNotFound => (Code::NotFound, FailureKind::CommandNotFound),
        ErrorKind::CommandNotExecutable => (Code::FailedPrecondition, FailureKind::CommandNotExecutable),
        // Also of the kinds that engines may come to have.
        _ => (Code::Internal, FailureKind::Internal),
    }
}

fn error_kind(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::InvalidInput => ErrorKind::InvalidInput,
        FailureKind::NotFound => ErrorKind::NotFound,
        FailureKind::Ambiguous => ErrorKind::Ambiguous,
        FailureKind::Conflict => ErrorKind::Conflict,
        FailureKind::WrongState => ErrorKind::WrongState,
        FailureKind::Permission => ErrorKind::Permission,
        FailureKind::Unsupported => ErrorKind::Unsupported,
        FailureKind::CommandNotFound => ErrorKind::CommandNotFound,
        FailureKind::CommandNotExecutable => ErrorKind::CommandNotExecutable,
        FailureKind::Unspecified | FailureKind::Internal => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_travels_whole() {
        for kind in [
            ErrorKind::InvalidInput,
            ErrorKind::NotFound,
            ErrorKind::Ambiguous,
            ErrorKind::Conflict,
            ErrorKind::WrongState,
            ErrorKind::Permission,
            ErrorKind::Unsupported,
            ErrorKind::CommandNotFound,
            ErrorKind::CommandNotExecutable,
            ErrorKind::Internal,
        ] {
            let source = std::io::Error::other("beneath\nit");
            let error = Error::with_source(kind, "start container wéb", &source).with_hint("try again");
            let status = of_error(&error);
            assert_eq!(status.message(), "start container wéb");
            assert_eq!(to_error(&status), error);
        }
    }

    #[test]
    fn one_that_is_too_long_for_a_header_is_cut() {
        let source = std::io::Error::other("é".repeat(10_000));
        let error = Error::with_source(ErrorKind::Internal, "read", &source).with_hint("look");
        let status = of_error(&error);
        assert!(status.details().len() < MOST_BYTES + 512, "{}", status.details().len());
        let back = to_error(&status);
        assert_eq!((back.to_string().as_str(), back.hint()), ("read", Some("look")));
        assert!(back.causes()[0].starts_with('é') && back.causes()[0].len() > 2_000);
    }

    #[test]
    fn a_status_of_others_is_an_error_of_the_daemon() {
        let error = to_error(&Status::unavailable("connection refused"));
        assert!(error.to_string().contains("connection refused") && error.hint().is_some(), "{error}");
        assert_eq!(to_error(&Status::unimplemented("")).kind(), ErrorKind::Unsupported);
        assert_eq!(to_error(&Status::internal("")).kind(), ErrorKind::Internal);
    }
}
