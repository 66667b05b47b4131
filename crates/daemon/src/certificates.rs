//! Certificates: an authority of its own, and what a server and a client prove themselves with.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use tinyd_engine::{Error, ErrorKind, Result};

/// Makes, in a folder that is not there yet or is empty, `ca.pem` and `ca-key.pem`, and below it `server` and `client`, each
/// with the `ca.pem`, `cert.pem` and `key.pem` that one side needs. The server is known by `names`: host names or addresses.
pub fn make_certificates(folder: &Path, names: &[String]) -> Result<()> {
    let failed = |operation: &str, error: &(dyn std::error::Error + 'static)| {
        Error::with_source(ErrorKind::Internal, format!("{operation} in {}", folder.display()), error)
    };
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::new(ErrorKind::Conflict, format!("{} is not empty", folder.display())).with_hint(
            "certificates that are there are not replaced: name another folder, or move them away",
        ));
    }
    let made = made(names).map_err(|error| failed("make certificates", &error))?;
    write(folder, &made).map_err(|error| failed("write certificates", &error))
}

/// PEM files of one side.
struct Proof {
    certificate: String,
    key: String,
}

struct Made {
    authority: Proof,
    server: Proof,
    client: Proof,
}

fn made(names: &[String]) -> std::result::Result<Made, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "tinyd authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let authority = Proof { certificate: certificate.pem(), key: key.serialize_pem() };
    let issuer = Issuer::new(params, key);
    let server = proof("tinyd server", names, ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
    let client = proof("tinyd client", &[], ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
    Ok(Made { authority, server, client })
}

fn proof(
    name: &str,
    names: &[String],
    purpose: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> std::result::Result<Proof, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Proof { certificate: params.signed_by(&key, issuer)?.pem(), key: key.serialize_pem() })
}

fn write(folder: &Path, made: &Made) -> io::Result<()> {
    let dir = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    dir(folder)?;
    file(&folder.join("ca.pem"), 0o644, &made.authority.certificate)?;
    file(&folder.join("ca-key.pem"), 0o600, &made.authority.key)?;
    for (name, proof) in [("server", &made.server), ("client", &made.client)] {
        let side = folder.join(name);
        dir(&side)?;
        file(&side.join("ca.pem"), 0o644, &made.authority.certificate)?;
        file(&side.join("cert.pem"), 0o644, &proof.certificate)?;
        file(&side.join("key.pem"), 0o600, &proof.key)?;
    }
    Ok(())
}

fn file(path: &Path, mode: u32, content: &str) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(content.as_bytes())
}
