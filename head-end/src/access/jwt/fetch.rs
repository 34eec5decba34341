//! One GET over HTTPS.

use std::{path::Path, sync::Arc};

use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls};

use super::JwksError;
use crate::access::ring_provider;

/// Largest answer, in octets.
const LARGEST: usize = 512 * 1024;

/// The body at `url`. Redirections are not followed. The caller bounds the time.
pub(super) async fn get(url: &str, ca: Option<&Path>) -> Result<Vec<u8>, JwksError> {
    let failed = |reason: String| JwksError::Fetch { url: url.to_owned(), reason };
    let uri: Uri = url.parse().map_err(|error| failed(format!("not an address: {error}")))?;
    let host = uri.host().ok_or_else(|| failed("it has no host".to_owned()))?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let secure = uri.scheme_str() == Some("https");
    if !secure && !is_this_machine(name) {
        return Err(failed("keys are fetched over https only".to_owned()));
    }
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let stream = TcpStream::connect((name, port)).await.map_err(|error| failed(error.to_string()))?;
    if !secure {
        return exchange(stream, &uri).await.map_err(failed);
    }
    let config = client_config(ca).map_err(failed)?;
    let server = ServerName::try_from(name.to_owned()).map_err(|error| failed(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(server, stream).await.map_err(|error| failed(error.to_string()))?;
    exchange(stream, &uri).await.map_err(failed)
}

/// Whether nothing leaves this machine.
fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn exchange(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, uri: &Uri) -> Result<Vec<u8>, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(text)?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("it answered with {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await.map_err(|error| error.to_string())?;
        Ok(body.to_bytes().to_vec())
    };
    // The connection has to be driven as long as the answer is awaited, and no longer.
    tokio::pin!(answer);
    tokio::select! {
        answered = &mut answer => answered,
        ended = connection => {
            ended.map_err(text)?;
            answer.await
        }
    }
}

fn client_config(ca: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(path) => {
            let read = |error| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
                roots.add(certificate.map_err(read)?).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = rustls::ClientConfig::builder_with_provider(ring_provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
