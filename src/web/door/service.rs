//! The door as one thing: certificate, sockets, router. What the roof starts.

use crate::door::certificate;
use crate::door::certificate::{Certificates, Pem};
use crate::door::hosts::{self, Hosts};
use crate::door::server;
use crate::door::server::Listening;
use crate::door::state::{Options, Web};
use crate::routes;
use app::App;
use base::{Error, Result, Secret};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A self-signed certificate with less time left than this is replaced at the start.
const RENEW: Duration = Duration::from_secs(60 * 24 * 3600);

/// How long open consoles may take to end.
const CONSOLES: Duration = Duration::from_secs(5);

/// Picks TLS' one backend for the whole process. Before anything that uses TLS; twice does no harm.
pub fn install_crypto() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Bound, but not answering yet.
#[derive(Debug)]
pub struct Server {
    listening: Listening,
    web: Web,
    stop: CancellationToken,
}

impl Server {
    /// Reads or makes the certificate and binds the addresses of the settings.
    pub async fn bind(app: &App, stop: CancellationToken) -> Result<Self> {
        let settings = app.settings();
        let pem = pem(app).await?;
        let hosts = Hosts::new(settings.hosts.iter().cloned().chain(certificate::names(&pem)?));
        let certificates = Certificates::new(&pem)?;
        let listening = server::bind(server::Options::new(settings.listen.clone(), Some(certificates))).await?;
        let options = Options {
            origins: settings.cors_origins.clone(),
            hsts: settings.sends_hsts(),
            hosts: Some(hosts),
            ..Options::default()
        };
        let web = Web::new(app.clone(), options, stop.clone());
        Ok(Self { listening, web, stop })
    }

    /// The addresses that answer, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening.addresses()
    }

    /// Serves until the stop that was given to `bind`.
    pub async fn serve(self) -> Result<()> {
        let consoles = self.web.consoles.clone();
        let served = self.listening.serve(routes::router(self.web), self.stop).await;
        // Each ends by itself on the stop, with a goodbye and a line in the audit log.
        consoles.close();
        if tokio::time::timeout(CONSOLES, consoles.wait()).await.is_err() {
            tracing::warn!("some consoles did not end in time");
        }
        served
    }
}

/// The person's own certificate from files, else the one that was made here, else a new one.
async fn pem(app: &App) -> Result<Pem> {
    let settings = app.settings();
    if let (Some(chain), Some(key)) = (&settings.tls_certificate, &settings.tls_key) {
        let pem = Pem { chain: read(chain).await?, key: Secret::new(read(key).await?) };
        let place = format!("tls_certificate {} and tls_key {}", chain.display(), key.display());
        let wrong = |e: Error| Error::invalid(format!("{place}: {}", e.message())).with_cause(e);
        return Certificates::new(&pem).map_err(wrong).map(|_| pem);
    }
    if let Some((chain, key)) = app.certificate().get()? {
        let kept = Pem { chain, key };
        if certificate::expires(&kept)? > app.now().plus(RENEW) {
            return Ok(kept);
        }
    }
    let made = certificate::self_signed(&hosts::own(), app.now())?;
    app.certificate().keep(&made.chain, &made.key).await?;
    tracing::info!(fingerprint = certificate::fingerprint(&made)?, "made a certificate; compare it in the browser");
    Ok(made)
}

async fn read(path: &Path) -> Result<String> {
    tokio::fs::read_to_string(path).await.map_err(|e| Error::invalid(format!("Can't read {}: {e}", path.display())))
}
