//! Calls to a daemon, and a daemon that is none: what is said in them is the test's to choose, byte for byte.

mod polled;

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::io::Cursor;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::Poll;

use h2::client::{Connection, SendRequest};
use http::{HeaderMap, Request, Response};
use polled::{Polled, wait};

/// What is sent at once.
type Piece = Cursor<Vec<u8>>;

/// A connection to a daemon.
pub struct Grpc {
    sender: SendRequest<Piece>,
    connection: Connection<Polled, Piece>,
    stream: UnixStream,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// The number of HTTP.
    pub http: u16,
    /// The number of gRPC; none where it was not told.
    pub status: Option<u16>,
    /// What that means, with percent signs decoded.
    pub message: String,
    /// Headers and trailers.
    pub headers: BTreeMap<String, String>,
    /// The messages, each with its five bytes.
    pub body: Vec<u8>,
}

/// A message as it travels.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a message is short").to_be_bytes();
    [&[0], &length[..], message].concat()
}

impl Grpc {
    /// Connects to a socket.
    #[track_caller]
    pub fn connect(socket: &Path) -> Grpc {
        let stream = UnixStream::connect(socket).expect("somebody listens");
        let polled = Polled::new(&stream);
        let shaken = h2::client::Builder::new().handshake::<_, Piece>(polled);
        let (sender, connection) = wait(&stream, shaken).expect("it speaks HTTP/2");
        Grpc { sender, connection, stream }
    }

    /// Makes a call with one message.
    ///
    /// # Errors
    /// When the call, or the connection, was broken off instead of answered.
    pub fn call(&mut self, path: &str, message: &[u8]) -> Result<Answer, h2::Error> {
        self.raw(path, &[], framed(message))
    }

    /// Makes a call with further headers and any body.
    ///
    /// # Errors
    /// As [`Grpc::call`].
    pub fn raw(&mut self, path: &str, headers: &[(&str, &[u8])], body: Vec<u8>) -> Result<Answer, h2::Error> {
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("the headers can be sent");
        let mut asked = pin!(ask(self.sender.clone(), request, body));
        let connection = &mut self.connection;
        let answered = poll_fn(|context| {
            let ended = Pin::new(&mut *connection).poll(context);
            match (asked.as_mut().poll(context), ended) {
                (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
                (answer, _) => answer,
            }
        });
        wait(&self.stream, answered)
    }
}

async fn ask(sender: SendRequest<Piece>, request: Request<()>, body: Vec<u8>) -> Result<Answer, h2::Error> {
    let (response, mut stream) = sender.ready().await?.send_request(request, false)?;
    // It may be answered, and closed, before all has been sent.
    let _ = stream.send_data(Cursor::new(body), true);
    let (head, mut rest) = response.await?.into_parts();
    let mut answer = Answer { http: head.status.as_u16(), ..Answer::default() };
    answer.add(&head.headers);
    while let Some(piece) = rest.data().await {
        let piece = piece?;
        rest.flow_control().release_capacity(piece.len())?;
        answer.body.extend(&piece[..]);
    }
    if let Some(trailers) = rest.trailers().await? {
        answer.add(&trailers);
    }
    Ok(answer)
}

impl Answer {
    fn add(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            match name.as_str() {
                "grpc-status" => self.status = value.parse().ok(),
                "grpc-message" => self.message = decoded(&value),
                _ => {}
            }
            self.headers.insert(name.to_string(), value);
        }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let code = others.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[2..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Listens on a socket, and answers the first call with an empty message and this header.
#[track_caller]
pub fn answer_once(socket: &Path, name: &'static str, value: &'static str) -> std::thread::JoinHandle<()> {
    let listener = std::os::unix::net::UnixListener::bind(socket).expect("the path is free");
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody comes");
        let polled = Polled::new(&stream);
        let served = async {
            let mut connection = h2::server::Builder::new().handshake::<_, Piece>(polled).await?;
            let (_request, mut respond) = connection.accept().await.expect("he calls")?;
            let response = Response::builder()
                .header("content-type", "application/grpc")
                .header(name, value)
                .header("grpc-status", "0");
            let response = response.body(()).expect("it can be sent");
            let mut body = respond.send_response(response, false)?;
            body.send_data(Cursor::new(framed(&[])), true)?;
            poll_fn(|context| connection.poll_closed(context)).await
        };
        // He may go as he likes.
        let _: Result<(), h2::Error> = wait(&stream, served);
    })
}
