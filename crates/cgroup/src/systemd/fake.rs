//! A systemd for tests: a thread that speaks the wire on a socket, by zbus. It keeps what it was asked, and answers as it
//! is told.

use super::wire::oracle::{self, Decoded};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use zbus::wire::Endian;
use zbus::{ObjectPath, OwnedVariant, Variant};

const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// Its name on the bus.
const SELF: &str = ":1.1";

/// What it was asked.
pub(super) struct Seen {
    pub(super) member: String,
    pub(super) destination: Option<String>,
    /// The unit, where the call is about one.
    pub(super) unit: String,
    pub(super) properties: Vec<(String, OwnedVariant)>,
}

impl Seen {
    pub(super) fn property(&self, name: &str) -> Option<&OwnedVariant> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// What it answers a call.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It is done; a job's end comes after the answer, behind that of another's.
    Done,
    /// It is done, and a job's end is told before the job.
    DoneBefore,
    /// A job that ends so.
    Ends(&'static str),
    /// A job of which somebody else at the bus says that it ended.
    Forged,
    /// An error by its name.
    Error(&'static str, &'static str),
    /// Nothing, ever.
    Nothing,
    /// The end of the connection.
    Close,
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The fake, with its socket.
pub(super) struct Fake {
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    /// One that lets everybody in, and answers calls about units as it is told.
    pub(super) fn new(answer: impl Fn(&Seen) -> Answer + Send + 'static) -> Self {
        Self::greeting("OK 0123456789abcdef\r\n", answer)
    }

    /// One that answers the words by which somebody comes in.
    pub(super) fn greeting(
        greeting: &'static str,
        answer: impl Fn(&Seen) -> Answer + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Somebody who goes away in the middle is part of the tests.
                let _ = serve(&stream.unwrap(), greeting, &answer, &kept);
            }
        });
        Self { folder, seen }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// What it was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

fn serve(
    mut stream: &UnixStream,
    greeting: &str,
    answer: &impl Fn(&Seen) -> Answer,
    kept: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
    expect(stream, &format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n"))?;
    stream.write_all(greeting.as_bytes())?;
    for job in 1.. {
        let decoded = receive(stream)?;
        let seen = seen(&decoded);
        let (member, unit, answers) = (seen.member.clone(), seen.unit.clone(), answer(&seen));
        kept.lock().unwrap().push(seen);
        let mut out = Out { stream, serial: decoded.serial, job, unit };
        let is_job = matches!(member.as_str(), "StartTransientUnit" | "StopUnit");
        match answers {
            Answer::Nothing => {
                // Until the other end gives up.
                return stream.read_to_end(&mut Vec::new()).map(drop);
            }
            Answer::Close => return Ok(()),
            Answer::Bytes(bytes) => stream.write_all(&bytes)?,
            Answer::Error(name, text) => out.error(name, text)?,
            _ if !is_job => out.reply()?,
            Answer::Done => {
                out.job()?;
                out.removed(job + 1000, SELF, "failed")?;
                out.removed(job, SELF, "done")?;
            }
            Answer::DoneBefore => {
                out.removed(job, SELF, "done")?;
                out.job()?;
            }
            Answer::Ends(result) => {
                out.job()?;
                out.removed(job, SELF, result)?;
            }
            Answer::Forged => {
                out.job()?;
                out.removed(job, ":1.66", "done")?;
            }
        }
    }
    Ok(())
}

fn expect(mut stream: &UnixStream, wanted: &str) -> std::io::Result<()> {
    let mut line = vec![0; wanted.len()];
    stream.read_exact(&mut line)?;
    assert_eq!(String::from_utf8_lossy(&line), wanted);
    Ok(())
}

fn receive(mut stream: &UnixStream) -> std::io::Result<Decoded> {
    let mut bytes = vec![0; 16];
    stream.read_exact(&mut bytes)?;
    let number =
        |at: usize| usize::try_from(u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())).unwrap();
    let rest = (16 + number(12)).next_multiple_of(8) + number(4) - 16;
    bytes.resize(16 + rest, 0);
    stream.read_exact(&mut bytes[16..])?;
    Ok(oracle::decode(&bytes))
}

fn seen(decoded: &Decoded) -> Seen {
    let member = decoded.field(3).unwrap().to_owned();
    let owned = |list: Vec<(String, Variant<'_>)>| {
        list.into_iter().map(|(name, value)| (name, OwnedVariant::try_from(value).unwrap())).collect()
    };
    let (unit, properties) = match (member.as_str(), decoded.field(8)) {
        ("StartTransientUnit", Some("ssa(sv)a(sa(sv))")) => {
            type Auxiliary<'a> = Vec<(String, Vec<(String, Variant<'a>)>)>;
            let body: (String, String, Vec<(String, Variant<'_>)>, Auxiliary<'_>) =
                decoded.body.deserialize().unwrap().0;
            assert_eq!((body.1.as_str(), body.3.len()), ("fail", 0));
            (body.0, owned(body.2))
        }
        ("SetUnitProperties", Some("sba(sv)")) => {
            let body: (String, bool, Vec<(String, Variant<'_>)>) = decoded.body.deserialize().unwrap().0;
            assert!(body.1, "until the unit is gone");
            (body.0, owned(body.2))
        }
        ("StopUnit", Some("ss")) => {
            let body: (String, String) = decoded.body.deserialize().unwrap().0;
            assert_eq!(body.1, "replace");
            (body.0, Vec::new())
        }
        ("ResetFailedUnit" | "AddMatch", Some("s")) => {
            (decoded.body.deserialize::<String>().unwrap().0, Vec::new())
        }
        ("Hello" | "Subscribe", None) => (String::new(), Vec::new()),
        other => panic!("{other:?}"),
    };
    let daemon = matches!(member.as_str(), "Hello" | "AddMatch");
    if !daemon {
        assert_eq!((decoded.field(1), decoded.field(2)), (Some(PATH), Some(INTERFACE)));
    }
    Seen { member, destination: decoded.field(6).map(str::to_owned), unit, properties }
}

/// The way back to who asked.
struct Out<'a> {
    stream: &'a UnixStream,
    serial: u32,
    job: u32,
    unit: String,
}

impl Out<'_> {
    fn fields(&self) -> Vec<(u8, Variant<'static>)> {
        vec![(5, Variant::from(self.serial)), (7, Variant::from(SELF))]
    }

    fn reply(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&oracle::encode(Endian::Little, 2, 1, self.fields(), &()))
    }

    fn job(&mut self) -> std::io::Result<()> {
        let bytes = oracle::encode(Endian::Little, 2, 1, self.fields(), &(path(self.job),));
        self.stream.write_all(&bytes)
    }

    fn error(&mut self, name: &str, text: &str) -> std::io::Result<()> {
        let mut fields = self.fields();
        fields.push((4, Variant::from(name.to_owned())));
        self.stream.write_all(&oracle::encode(Endian::Little, 3, 1, fields, &(text,)))
    }

    /// The end of a job, in pieces, as a socket may give them.
    fn removed(&mut self, job: u32, sender: &'static str, result: &str) -> std::io::Result<()> {
        let fields = vec![
            (1, Variant::from(ObjectPath::try_from(PATH).unwrap())),
            (2, Variant::from(INTERFACE)),
            (3, Variant::from("JobRemoved")),
            (7, Variant::from(sender)),
        ];
        let bytes =
            oracle::encode(Endian::Little, 4, 1, fields, &(job, path(job), self.unit.as_str(), result));
        let mut pieces: VecDeque<_> = bytes.chunks(50).collect();
        while let Some(piece) = pieces.pop_front() {
            self.stream.write_all(piece)?;
            std::thread::yield_now();
        }
        Ok(())
    }
}

fn path(job: u32) -> ObjectPath<'static> {
    ObjectPath::try_from(format!("{PATH}/job/{job}")).unwrap()
}
