//! Whole messages: a call to send, and what comes back.

use super::{LARGEST, Malformed, Read, Reader, Writer, aligned};

/// The bytes from which a message's length can be told.
pub(in crate::systemd) const FIXED: usize = 16;

const PROTOCOL: u8 = 1;

// The types of messages.
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

// The header's fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// The arguments of a call.
#[derive(Debug, Default)]
pub(in crate::systemd) struct Body {
    pub(in crate::systemd) signature: &'static str,
    pub(in crate::systemd) bytes: Vec<u8>,
}

impl Body {
    pub(in crate::systemd) fn new(signature: &'static str, fill: impl FnOnce(&mut Writer)) -> Self {
        let mut writer = Writer::default();
        fill(&mut writer);
        Self { signature, bytes: writer.into_bytes() }
    }
}

/// A method call.
#[derive(Debug)]
pub(in crate::systemd) struct Call<'a> {
    /// Who is asked; nobody on a connection that only one answers.
    pub(in crate::systemd) destination: Option<&'a str>,
    pub(in crate::systemd) path: &'a str,
    pub(in crate::systemd) interface: &'a str,
    pub(in crate::systemd) member: &'a str,
    pub(in crate::systemd) body: Body,
}

impl Call<'_> {
    /// The message with a number that the answer will name; it is not 0.
    pub(in crate::systemd) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.bytes(&[b'l', CALL, 0, PROTOCOL]);
        writer.u32(u32::try_from(self.body.bytes.len()).unwrap_or(u32::MAX));
        writer.u32(serial);
        writer.array(8, |w| {
            let mut text = |code, kind, value: &str| {
                w.align(8);
                w.byte(code);
                w.signature(kind);
                w.text(value);
            };
            text(PATH, "o", self.path);
            text(INTERFACE, "s", self.interface);
            text(MEMBER, "s", self.member);
            if let Some(destination) = self.destination {
                text(DESTINATION, "s", destination);
            }
            if !self.body.signature.is_empty() {
                w.align(8);
                w.byte(SIGNATURE);
                w.signature("g");
                w.signature(self.body.signature);
            }
        });
        writer.align(8);
        writer.bytes(&self.body.bytes);
        writer.into_bytes()
    }
}

/// What a message that came in is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::systemd) enum Kind {
    Call,
    Return,
    Error,
    Signal,
    /// A type that a later specification may add: to be passed over.
    Unknown,
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::systemd) struct Message {
    pub(in crate::systemd) kind: Kind,
    pub(in crate::systemd) path: Option<String>,
    pub(in crate::systemd) interface: Option<String>,
    pub(in crate::systemd) member: Option<String>,
    pub(in crate::systemd) error_name: Option<String>,
    pub(in crate::systemd) reply_serial: Option<u32>,
    pub(in crate::systemd) sender: Option<String>,
    pub(in crate::systemd) signature: String,
    big_endian: bool,
    body: Vec<u8>,
}

/// How long the message is that begins so.
pub(in crate::systemd) fn length(fixed: &[u8; FIXED]) -> Read<usize> {
    let mut reader = Reader::new(fixed, big_endian(fixed[0])?);
    if fixed[3] != PROTOCOL {
        return Err(Malformed("it is of another version of the protocol"));
    }
    let mut number = || reader.u32().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let (_, body, _, fields) = (number()?, number()?, number()?, number()?);
    // Each alone first: the sum cannot wrap then.
    if body > LARGEST || fields > LARGEST || aligned(FIXED + fields, 8) + body > LARGEST {
        return Err(Malformed("it is larger than 1 MiB"));
    }
    Ok(aligned(FIXED + fields, 8) + body)
}

fn big_endian(letter: u8) -> Read<bool> {
    match letter {
        b'l' => Ok(false),
        b'B' => Ok(true),
        _ => Err(Malformed("it has no byte order")),
    }
}

impl Message {
    /// Reads a whole message: as many bytes as [`length`] says.
    pub(in crate::systemd) fn parse(bytes: &[u8]) -> Read<Self> {
        let fixed = bytes.first_chunk::<FIXED>().ok_or(Malformed("it is shorter than its beginning"))?;
        if length(fixed)? != bytes.len() {
            return Err(Malformed("it has another length than it says"));
        }
        let big_endian = big_endian(fixed[0])?;
        let mut reader = Reader::new(bytes, big_endian);
        let mut message = Self {
            kind: kind(fixed[1])?,
            path: None,
            interface: None,
            member: None,
            error_name: None,
            reply_serial: None,
            sender: None,
            signature: String::new(),
            big_endian,
            body: Vec::new(),
        };
        for _ in 0..3 {
            reader.u32()?;
        }
        let end = reader.array(8)?;
        while reader.at() < end {
            message.read_field(&mut reader)?;
        }
        if reader.at() != end {
            return Err(Malformed("a field goes on behind the header"));
        }
        reader.align(8)?;
        message.body = bytes[reader.at()..].to_vec();
        Ok(message)
    }

    fn read_field(&mut self, reader: &mut Reader<'_>) -> Read<()> {
        reader.align(8)?;
        let code = reader.byte()?;
        let (place, wanted) = match code {
            PATH => (&mut self.path, "o"),
            INTERFACE => (&mut self.interface, "s"),
            MEMBER => (&mut self.member, "s"),
            ERROR_NAME => (&mut self.error_name, "s"),
            SENDER => (&mut self.sender, "s"),
            REPLY_SERIAL => {
                expect(reader, "u")?;
                self.reply_serial = Some(reader.u32()?);
                return Ok(());
            }
            SIGNATURE => {
                expect(reader, "g")?;
                self.signature = reader.signature()?.to_owned();
                return Ok(());
            }
            _ => return reader.skip_variant(),
        };
        expect(reader, wanted)?;
        *place = Some(reader.text()?.to_owned());
        Ok(())
    }

    /// Its arguments.
    pub(in crate::systemd) fn body(&self) -> Reader<'_> {
        Reader::new(&self.body, self.big_endian)
    }

    /// The first argument, where it is a text.
    pub(in crate::systemd) fn text(&self) -> Option<&str> {
        if !self.signature.starts_with(['s', 'o']) {
            return None;
        }
        self.body().text().ok()
    }
}

fn kind(number: u8) -> Read<Kind> {
    Ok(match number {
        0 => return Err(Malformed("it has no type")),
        CALL => Kind::Call,
        RETURN => Kind::Return,
        ERROR => Kind::Error,
        SIGNAL => Kind::Signal,
        _ => Kind::Unknown,
    })
}

fn expect(reader: &mut Reader<'_>, wanted: &str) -> Read<()> {
    if reader.signature()? == wanted { Ok(()) } else { Err(Malformed("a field has another type")) }
}
