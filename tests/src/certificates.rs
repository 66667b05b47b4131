//! Certificates of an authority that `tinyd daemon cert` made, but not the ones that it makes; and connections that show them.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// For which years a certificate is good.
#[derive(Clone, Copy, Debug)]
pub enum Years {
    /// Two that are over.
    Past,
    /// Two that are to come.
    Future,
}

/// What it proves.
#[derive(Clone, Copy, Debug)]
pub enum Side {
    /// A server of that address.
    Server(&'static str),
    /// A client.
    Client,
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` into a new folder, by the authority in another one.
pub fn issue(authority: &Path, folder: &Path, side: Side, years: Years) {
    let read = |name: &str| fs::read_to_string(authority.join(name)).expect("the authority is there");
    let key = KeyPair::from_pem(&read("ca-key.pem")).expect("its key is one");
    // Whoever judges it goes by the authority's name, and its key.
    let mut name = CertificateParams::default();
    name.distinguished_name.push(DnType::CommonName, "tinyd authority");
    let issuer = Issuer::new(name, key);
    let (names, purpose) = match side {
        Side::Server(name) => (vec![name.to_owned()], ExtendedKeyUsagePurpose::ServerAuth),
        Side::Client => (vec![], ExtendedKeyUsagePurpose::ClientAuth),
    };
    let mut params = CertificateParams::new(names).expect("the name is one");
    params.distinguished_name.push(DnType::CommonName, "tinyd test");
    params.extended_key_usages = vec![purpose];
    let (from, to) = match years {
        Years::Past => (2020, 2022),
        Years::Future => (2200, 2202),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let own = KeyPair::generate().expect("a key can be made");
    let certificate = params.signed_by(&own, &issuer).expect("a certificate can be made");
    fs::create_dir(folder).expect("the folder is new");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("it can be written");
    write("ca.pem", &read("ca.pem"));
    write("cert.pem", &certificate.pem());
    write("key.pem", &own.serialize_pem());
}

/// A connection to a daemon's port that shows the certificate of a folder.
pub fn connect(address: &str, folder: &Path) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(folder.join("ca.pem")).expect("the authority is there");
    roots.add(authority).expect("it is one");
    let own = CertificateDer::from_pem_file(folder.join("cert.pem")).expect("the certificate is there");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("the key is there");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own], key)
        .expect("the key is the certificate's");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has timeouts");
    stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a socket has timeouts");
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_owned();
    let host = ServerName::try_from(host).expect("it has a name or an address");
    let client = ClientConnection::new(Arc::new(config), host).expect("a client can be made");
    StreamOwned::new(client, stream)
}
