//! TLS as tunnels: the scripted clients and servers keep speaking plain text, the tunnels put TLS between them and the
//! Envoy under test. Certificates are made at run time.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl Authority {
    /// A new one, trusted by nobody yet.
    ///
    /// # Panics
    ///
    /// Never with valid parameters; so too below.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a key, which no default should"
    )]
    pub fn new() -> Self {
        let mut parameters = CertificateParams::new([]).expect("no names");
        // Not the name that a certificate has by default: one that bears its issuer's name counts as self-signed.
        parameters
            .distinguished_name
            .push(DnType::CommonName, "Test Authority");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).expect("a certificate"),
        }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for these DNS names and addresses.
    ///
    /// # Panics
    ///
    /// When a name is none.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).expect("names");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("a key");
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Writes `NAME.pem` and `NAME.key` into `directory`.
    ///
    /// # Panics
    ///
    /// When they cannot be written.
    pub fn write(&self, directory: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            directory.join(format!("{name}.pem")),
            directory.join(format!("{name}.key")),
        );
        std::fs::write(&certificate, &self.certificate).expect("written");
        std::fs::write(&key, &self.key).expect("written");
        (certificate, key)
    }
}

/// What a peer asked for or agreed to in a handshake that succeeded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Handshake {
    /// The name in the server name indication.
    pub server_name: Option<String>,
    /// The application protocol agreed on.
    pub protocol: Option<String>,
}

/// A port on loopback whose connections are carried on with TLS added or taken off. It closes when dropped.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    refused: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Tunnel {
    /// Takes TLS off in front of the plain server at `to`, as `identity`, offering `protocols` by ALPN.
    ///
    /// # Panics
    ///
    /// When no port can be bound.
    pub async fn in_front_of(to: SocketAddr, identity: &Identity, protocols: &[&str]) -> Self {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM");
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("they belong together");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::start(move |mut plain, report| {
            let acceptor = acceptor.clone();
            async move {
                let mut tls = acceptor.accept(plain).await?;
                let (_, session) = tls.get_ref();
                report(Handshake {
                    server_name: session.server_name().map(ToOwned::to_owned),
                    protocol: session.alpn_protocol().map(text),
                });
                plain = TcpStream::connect(to).await?;
                copy_bidirectional(&mut tls, &mut plain).await.map(drop)
            }
        })
        .await
    }

    /// Adds TLS on the way to the server at `to`, which must prove to be `name` by `authority` (PEM); offers
    /// `protocols` by ALPN.
    ///
    /// # Panics
    ///
    /// When no port can be bound or `name` is none.
    pub async fn to(to: SocketAddr, name: &str, authority: &str, protocols: &[&str]) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM"))
            .expect("a certificate");
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        Self::start(move |mut plain, report| {
            let (connector, name) = (connector.clone(), name.clone());
            async move {
                let tcp = TcpStream::connect(to).await?;
                tcp.set_nodelay(true)?;
                let mut tls = connector.connect(name, tcp).await?;
                let (_, session) = tls.get_ref();
                report(Handshake {
                    server_name: None,
                    protocol: session.alpn_protocol().map(text),
                });
                copy_bidirectional(&mut plain, &mut tls).await.map(drop)
            }
        })
        .await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The handshakes that succeeded.
    pub fn handshakes(&self) -> Vec<Handshake> {
        lock(&self.handshakes).clone()
    }

    /// Why connections failed, handshakes or later.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.refused).clone()
    }

    async fn start<F>(
        carry: impl Fn(TcpStream, Box<dyn FnOnce(Handshake) + Send>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port on loopback");
        let address = listener.local_addr().expect("bound");
        let handshakes = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(Mutex::new(Vec::new()));
        let (succeeded, failed) = (Arc::clone(&handshakes), Arc::clone(&refused));
        let accepting = tokio::spawn(async move {
            while let Ok((plain, _)) = listener.accept().await {
                let (succeeded, failed) = (Arc::clone(&succeeded), Arc::clone(&failed));
                let _ = plain.set_nodelay(true);
                let carried = carry(plain, Box::new(move |handshake| lock(&succeeded).push(handshake)));
                tokio::spawn(async move {
                    if let Err(error) = carried.await {
                        lock(&failed).push(error.to_string());
                    }
                });
            }
        });
        Self {
            address,
            handshakes,
            refused,
            accepting,
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn text(protocol: &[u8]) -> String {
    String::from_utf8_lossy(protocol).into_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
