//! Tokens, certificates and TLS, made by the `openssl` command and used over real sockets.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use dlms_head_end::{
    access::{NewToken, TokenHash},
    api::SecurityFiles,
    config::Config,
};
use dlms_proto::v1::{
    CreateMeterRequest, ListMetersRequest, ListMetersResponse, meter_registry_client::MeterRegistryClient,
};
use serde_json::json;
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::support::{Running, info, plain};

fn openssl(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    let output = output.expect("the command openssl, with which these tests make their certificates");
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An authority, a server's certificate for localhost, and a client's.
fn certificates(folder: &Path) {
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(folder, &format!("{new} -keyout other.key -out other.pem -subj /CN=other"));
    let signed = |name: &str, subject: &str, alternative: &str, authority: &str| {
        let ca = format!("-CA {authority}.pem -CAkey {authority}.key");
        let names = format!("-addext subjectAltName={alternative} -addext basicConstraints=critical,CA:FALSE");
        openssl(folder, &format!("{new} -keyout {name}.key -out {name}.pem -subj {subject} {names} {ca}"));
    };
    signed("server", "/CN=head-end", "DNS:localhost", "ca");
    signed("client", "/O=Utility/CN=mdm", "DNS:mdm.example,URI:spiffe://utility/mdm", "ca");
    signed("stranger", "/O=Utility/CN=stranger", "DNS:stranger.example", "ca");
    signed("forged", "/O=Utility/CN=mdm", "DNS:mdm.example", "other");
}

fn entry(subject: &str, token: &NewToken, rest: &str) -> String {
    let (id, hash) = (&token.id, token.hash.text());
    assert!(TokenHash::parse(&hash).is_some());
    format!("[[token]]\nid = {id:?}\nhash = {hash:?}\nsubject = {subject:?}\n{rest}\n")
}

/// A head-end with these callers.
async fn with_callers(folder: &Path, callers: &str, tls: Option<&Path>) -> Running {
    let path = folder.join("callers.toml");
    std::fs::write(&path, callers).unwrap();
    let file = |name: &str| tls.map(|folder| folder.join(name));
    let security = SecurityFiles {
        callers: Some(path),
        certificate: file("server.pem"),
        key: file("server.key"),
        client_ca: file("ca.pem"),
    };
    Running::with(Config { data_dir: folder.join("data"), security, ..Config::default() }).await
}

fn bearing<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn list(channel: &Channel, token: Option<&str>) -> Result<ListMetersResponse, Status> {
    let message = ListMetersRequest::default();
    let request = match token {
        Some(token) => bearing(message, token),
        None => Request::new(message),
    };
    MeterRegistryClient::new(channel.clone()).list_meters(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn tokens_say_who_calls_and_roles_what_they_may() {
    let folder = tempfile::tempdir().unwrap();
    let (viewer, operator) = (NewToken::draw().unwrap(), NewToken::draw().unwrap());
    let callers =
        entry("dashboard", &viewer, "roles = [\"viewer\"]") + &entry("mdm", &operator, "roles = [\"operator\"]");
    let running = with_callers(folder.path(), &callers, None).await;
    let channel = running.channel.clone();

    for wrong in [None, Some("dhe_000000000000_0"), Some("nonsense"), Some("")] {
        let status = list(&channel, wrong).await.unwrap_err();
        assert_eq!((status.code(), info(&status).reason.as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    }
    list(&channel, Some(&viewer.token)).await.unwrap();
    let create = |token: &NewToken| {
        let message = CreateMeterRequest { meter: Some(plain("m1", "127.0.0.1:1")), ..Default::default() };
        let request = bearing(message, &token.token);
        let mut client = running.registry();
        async move { client.create_meter(request).await }
    };
    let status = create(&viewer).await.unwrap_err();
    assert_eq!((status.code(), info(&status).reason.as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(status.message().contains("operator"), "{status:?}");
    create(&operator).await.unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.expect("probes need no token");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_authority_say_who_calls_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let viewer = NewToken::draw().unwrap();
    let callers = "[[certificate]]\nname = \"uri:spiffe://utility/mdm\"\nsubject = \"mdm\"\nroles = [\"viewer\"]\n"
        .to_owned()
        + &entry("dashboard", &viewer, "roles = [\"viewer\"]");
    let running = with_callers(folder.path(), &callers, Some(folder.path())).await;
    let port = running.address.port();
    let read = |name: String| std::fs::read(folder.path().join(name)).unwrap();
    let connect = async |identity: Option<&str>, authority: &str| {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(format!("{authority}.pem"))));
        if let Some(name) = identity {
            tls = tls.identity(Identity::from_pem(read(format!("{name}.pem")), read(format!("{name}.key"))));
        }
        Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap().connect().await
    };
    let reason =
        async |channel: Channel, token: Option<&str>| list(&channel, token).await.map_err(|status| status.code());

    let known = connect(Some("client"), "ca").await.unwrap();
    reason(known, None).await.unwrap();
    let stranger = connect(Some("stranger"), "ca").await.unwrap();
    assert_eq!(reason(stranger.clone(), None).await.unwrap_err(), Code::Unauthenticated);
    reason(stranger, Some(&viewer.token)).await.expect("a token counts, whatever the certificate");
    let without = connect(None, "ca").await.unwrap();
    assert_eq!(reason(without.clone(), None).await.unwrap_err(), Code::Unauthenticated);
    reason(without, Some(&viewer.token)).await.unwrap();
    connect(None, "other").await.expect_err("a client that trusts another authority");
    // In TLS 1.3 a client learns after the handshake that its certificate was refused.
    if let Ok(forged) = connect(Some("forged"), "ca").await {
        // Which code depends on how far the call came; with a connection the token would have let it in.
        reason(forged, Some(&viewer.token)).await.expect_err("the connection has to be gone");
    }
    let plain = Endpoint::from_shared(format!("http://localhost:{port}")).unwrap().connect_lazy();
    assert!(reason(plain, Some(&viewer.token)).await.is_err(), "in clear");

    // An independent client, by its own view of the chain.
    let agreed = openssl(
        folder.path(),
        &format!("s_client -connect localhost:{port} -CAfile ca.pem -verify_return_error -alpn h2"),
    );
    let agreed = String::from_utf8_lossy(&agreed);
    assert!(agreed.contains("ALPN protocol: h2") && agreed.contains("Verify return code: 0"), "{agreed}");
    running.stop().await;
}

/// A token of an OpenID Connect provider, signed by `openssl`.
fn jwt(folder: &Path, key: &str, kid: &str, claims: &serde_json::Value) -> String {
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    std::fs::write(folder.join("signed"), &signed).unwrap();
    let signature = openssl(folder, &format!("dgst -sha256 -sign {key} signed"));
    format!("{signed}.{}", BASE64.encode(signature))
}

/// A new RSA key in a file, and its public half as a member of a key set.
fn rsa(folder: &Path, name: &str) -> serde_json::Value {
    openssl(folder, &format!("genrsa -out {name} 2048"));
    let modulus = String::from_utf8(openssl(folder, &format!("rsa -in {name} -noout -modulus"))).unwrap();
    let modulus = hex::decode(modulus.trim().trim_start_matches("Modulus=")).unwrap();
    json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "n": BASE64.encode(modulus), "e": "AQAB"})
}

#[tokio::test]
async fn tokens_of_an_issuer_are_believed_by_its_keys_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (own, foreign) = (rsa(folder.path(), "own"), rsa(folder.path(), "foreign"));
    std::fs::write(folder.path().join("jwks.json"), json!({"keys": [own]}).to_string()).unwrap();
    let callers = "[[issuer]]\nissuer = \"https://id.example\"\naudience = \"head-end\"\njwks = \"jwks.json\"\n\
        roles_claim = \"groups\"\n[issuer.roles]\n\"/meters/readers\" = \"viewer\"\n";
    let running = with_callers(folder.path(), callers, None).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let claims = |expires: Duration, groups: &str| json!({"iss": "https://id.example", "aud": "head-end", "sub": "anna", "exp": expires.as_secs(), "groups": [groups]});
    let later = now + Duration::from_secs(600);
    let good = claims(later, "/meters/readers");
    let ask = async |token: String| list(&running.channel, Some(&token)).await.map_err(|status| status.code());

    ask(jwt(folder.path(), "own", "own", &good)).await.unwrap();
    assert_eq!(ask(jwt(folder.path(), "foreign", "own", &good)).await, Err(Code::Unauthenticated), "another key");
    let old = claims(now - Duration::from_secs(600), "/meters/readers");
    assert_eq!(ask(jwt(folder.path(), "own", "own", &old)).await, Err(Code::Unauthenticated), "expired");
    let nothing = claims(later, "/elsewhere");
    assert_eq!(ask(jwt(folder.path(), "own", "own", &nothing)).await, Err(Code::PermissionDenied), "no role");
    drop(foreign);
    running.stop().await;
}

#[tokio::test]
async fn callers_that_cannot_be_read_stop_the_start_and_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |security: SecurityFiles| {
        let data_dir: PathBuf = folder.path().join("data");
        let config = Config { master_key_file: data_dir.join("key"), data_dir, security, ..Config::default() };
        dlms_head_end::node::Node::open(config, None).await.map(drop).unwrap_err().to_string()
    };
    let missing = Some(folder.path().join("nobody.toml"));
    assert!(open(SecurityFiles { callers: missing.clone(), ..Default::default() }).await.contains("nobody.toml"));
    let alone = open(SecurityFiles { certificate: missing.clone(), ..Default::default() }).await;
    assert!(alone.contains("tls_key"), "{alone}");
    let both = open(SecurityFiles { certificate: missing.clone(), key: missing, ..Default::default() }).await;
    assert!(both.contains("nobody.toml"), "{both}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
}
