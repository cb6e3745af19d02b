//! `lakeward cert`: a certificate authority of one's own and certificates for the service.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{Datelike, Days, NaiveDate, Utc};
use clap::Subcommand;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

/// The authority outlives ten renewals of what it signs.
const CA_DAYS: u64 = 3650;
/// Longest validity that common clients accept of a server certificate.
const MAX_SERVER_DAYS: u64 = 825;

/// Arguments of `lakeward cert`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a certificate authority and a server certificate signed by it
    #[command(after_help = "Examples:\n  \
        lakeward cert create --dir certs --host localhost --host 127.0.0.1\n  \
        lakeward cert create --dir certs --host lake.example.org --renew    a new certificate, the same authority\n\n\
        Writes ca.crt, ca.key, server.crt and server.key. Give ca.crt to clients; keep ca.key somewhere else.")]
    Create(Create),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Directory for the files; made if it is missing
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A name or address that clients connect to; may be given more than once
    #[arg(long = "host", value_name = "NAME", required = true, value_parser = host)]
    hosts: Vec<String>,
    /// How long the server certificate is valid
    #[arg(long, value_name = "DAYS", default_value_t = 398, value_parser = clap::value_parser!(u64).range(1..=MAX_SERVER_DAYS))]
    days: u64,
    /// Sign a new server certificate with the authority that is in the directory
    #[arg(long)]
    renew: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Action::Create(create) = args.action;
    let text = tokio::task::spawn_blocking(move || self::create(&create)).await??;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

struct Files {
    ca_certificate: PathBuf,
    ca_key: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(dir: &Path) -> Self {
        Self {
            ca_certificate: dir.join("ca.crt"),
            ca_key: dir.join("ca.key"),
            certificate: dir.join("server.crt"),
            key: dir.join("server.key"),
        }
    }
}

/// Makes the files and answers what to do with them.
fn create(create: &Create) -> anyhow::Result<String> {
    let files = Files::new(&create.dir);
    if create.renew {
        let (issuer, ca_pem) = existing_authority(&files)?;
        server(create, &files, &issuer, &ca_pem)?;
    } else {
        for path in [&files.ca_certificate, &files.ca_key, &files.certificate, &files.key] {
            if path.try_exists()? {
                bail!(
                    "{} exists already; use --renew to keep the authority, or another --dir",
                    path.display()
                );
            }
        }
        if !create.dir.is_dir() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&create.dir);
            made.with_context(|| format!("cannot make {}", create.dir.display()))?;
        }
        let (issuer, ca_pem) = new_authority(&files)?;
        server(create, &files, &issuer, &ca_pem)?;
    }
    Ok(instructions(create, &files))
}

fn new_authority(files: &Files) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    validity(&mut params, CA_DAYS)?;
    // Two authorities made on different days must not be taken for one another.
    let name = format!("Lakeward local authority {}", Utc::now().format("%Y-%m-%d %H:%M:%S"));
    params.distinguished_name = common_name(&name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    write(&files.ca_key, Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
    write(&files.ca_certificate, pem.as_bytes(), 0o644)?;
    Ok((Issuer::new(params, key), pem))
}

fn existing_authority(files: &Files) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| format!("--renew needs the authority: {}", path.display()))
    };
    let (pem, key) = (read(&files.ca_certificate)?, Zeroizing::new(read(&files.ca_key)?));
    let key =
        KeyPair::from_pem(&key).with_context(|| format!("{} holds no usable key", files.ca_key.display()))?;
    let issuer = Issuer::from_ca_cert_pem(&pem, key)
        .with_context(|| format!("{} is no certificate authority", files.ca_certificate.display()))?;
    Ok((issuer, pem))
}

fn server(create: &Create, files: &Files, issuer: &Issuer<'_, KeyPair>, ca_pem: &str) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(create.hosts.clone())?;
    validity(&mut params, create.days)?;
    params.distinguished_name = common_name(create.hosts.first().map_or("lakeward", String::as_str));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer)?;
    // The service sends the authority along, so that a client can show the whole chain.
    let chain = [certificate.pem().as_str(), ca_pem].concat();
    write(&files.key, Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
    write(&files.certificate, chain.as_bytes(), 0o644)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    // X.520 allows 64 characters; the names that count are the alternative names.
    distinguished.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    distinguished.push(DnType::OrganizationName, "Lakeward");
    distinguished
}

fn validity(params: &mut CertificateParams, days: u64) -> anyhow::Result<()> {
    let today = Utc::now().date_naive();
    // From yesterday: clocks of clients may be behind.
    let first = today.pred_opt().context("the clock is at the beginning of time")?;
    let last = today.checked_add_days(Days::new(days)).context("the validity is too long")?;
    let (year, month, day) = calendar(first)?;
    params.not_before = date_time_ymd(year, month, day);
    let (year, month, day) = calendar(last)?;
    params.not_after = date_time_ymd(year, month, day);
    Ok(())
}

fn calendar(date: NaiveDate) -> anyhow::Result<(i32, u8, u8)> {
    Ok((date.year(), u8::try_from(date.month())?, u8::try_from(date.day())?))
}

/// Replaces the file in one step; a key is never readable by others, not for a moment.
fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let written = || -> io::Result<()> {
        // What an interrupted run left behind.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn instructions(create: &Create, files: &Files) -> String {
    let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let host = create.hosts.first().map_or("localhost", String::as_str);
    let authority = absolute(&files.ca_certificate);
    format!(
        "Made for {hosts}, valid {days} days:\n  \
           {certificate}\n  {key}\n\n\
         In lakeward.yaml:\n  \
           tls: {{ certificate: \"{certificate}\", key: \"{key}\" }}\n\n\
         Clients need {authority} and connect so:\n  \
           psql \"host={host} port=5433 dbname=lakeward user=NAME sslmode=verify-full sslrootcert={authority}\"\n  \
           lakeward sql --host {host} --user NAME --tls-ca {authority}\n\n\
         {ca_key} signs certificates that these clients believe: move it off this machine.\n",
        hosts = create.hosts.join(", "),
        days = create.days,
        certificate = absolute(&files.certificate).display(),
        key = absolute(&files.key).display(),
        authority = authority.display(),
        ca_key = absolute(&files.ca_key).display(),
    )
}

fn host(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let name = name.strip_prefix("*.").unwrap_or(name);
        name.len() <= 253
            && name.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            })
    };
    if text.parse::<IpAddr>().is_ok() || is_name(text) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("expected a host name or an IP address, without port".to_owned())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

    use super::*;

    fn request(dir: &Path, hosts: &[&str], renew: bool) -> Create {
        Create {
            dir: dir.to_path_buf(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            days: 30,
            renew,
        }
    }

    /// Whether a client that trusts `ca` accepts, for `name`, a server with the files in `dir`.
    fn handshake(ca: &[u8], dir: &Path, name: &str) -> bool {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(dir.join("server.crt")).unwrap().collect::<Result<_, _>>().unwrap();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(dir.join("server.key")).unwrap())
            .unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            if server.process_new_packets().is_err() {
                return false;
            }
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            if client.process_new_packets().is_err() {
                return false;
            }
        }
        true
    }

    #[test]
    fn clients_that_trust_the_authority_accept_its_hosts_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("certs");
        let text = create(&request(&dir, &["lake.example.org", "127.0.0.1", "::1"], false)).unwrap();
        assert!(text.contains("sslmode=verify-full"), "{text}");
        let ca = fs::read(dir.join("ca.crt")).unwrap();
        assert!(handshake(&ca, &dir, "lake.example.org"));
        assert!(handshake(&ca, &dir, "127.0.0.1"));
        assert!(handshake(&ca, &dir, "::1"));
        assert!(!handshake(&ca, &dir, "other.example.org"));
        for key in ["ca.key", "server.key"] {
            assert_eq!(fs::metadata(dir.join(key)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 4);

        // Nothing is overwritten unless asked; a renewal keeps what clients trust.
        assert!(create(&request(&dir, &["other.example.org"], false)).is_err());
        create(&request(&dir, &["other.example.org"], true)).unwrap();
        assert_eq!(fs::read(dir.join("ca.crt")).unwrap(), ca);
        assert!(handshake(&ca, &dir, "other.example.org"));
        assert!(!handshake(&ca, &dir, "lake.example.org"));

        // Another authority's certificates are worth nothing here.
        let other = folder.path().join("other");
        create(&request(&other, &["lake.example.org"], false)).unwrap();
        assert!(!handshake(&ca, &other, "lake.example.org"));
    }

    #[test]
    fn renewal_needs_the_authority() {
        let folder = tempfile::tempdir().unwrap();
        let error = create(&request(folder.path(), &["localhost"], true)).unwrap_err();
        assert!(error.to_string().contains("ca.crt"), "{error}");
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for good in ["localhost", "Lake.Example.org", "*.example.org", "10.0.0.1", "::1"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "host:5433", "http://x", "-a", "a..b", "héllo", "[::1]"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
