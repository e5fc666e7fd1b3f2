//! HTTP rules, envelope, login.

use super::client::{cluster, parse, with};
use crate::Options;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_token_gets_an_answer_in_the_envelope() {
    let c = cluster().await;
    assert_eq!(c.get("/version").await.data()["version"], "9.2.6");
    assert_eq!(c.get("/cluster/nextid").await.data(), "125");
}

#[tokio::test]
async fn a_bad_token_gets_401_with_an_empty_body_and_the_reason_in_the_status_line_three_seconds_late() {
    let c = with(Options { time_scale: 0.05, ..Options::default() }).await;
    let began = Instant::now();
    let reply = c.ask("GET", "/version", "Authorization: PVEAPIToken=a@pve!b=c\r\n", "").await;
    assert_eq!((reply.status, reply.reason.as_str(), reply.body.as_str()), (401, "Authentication failed!", ""));
    assert!(began.elapsed() >= Duration::from_millis(150));
    let reply = c.ask("GET", "/version", "Authorization: Bearer x\r\n", "").await;
    assert_eq!((reply.status, reply.reason.as_str()), (401, "No ticket"));
}

#[tokio::test]
async fn what_is_not_there_is_501_and_never_404() {
    let c = cluster().await;
    for (method, path) in
        [("GET", "/cluster/ceph/status"), ("POST", "/nodes/pve1/qemu/100/spiceproxy"), ("DELETE", "/version")]
    {
        let reply = c.ask(method, path, &c.auth, "").await;
        assert_eq!(reply.status, 501);
        assert_eq!(reply.message(), format!("Method '{method} {path}' not implemented"));
    }
    for method in ["PATCH", "HEAD"] {
        let reply = c.ask(method, "/version", &c.auth, "").await;
        assert_eq!((reply.status, reply.body.as_str()), (501, ""));
    }
}

#[tokio::test]
async fn misuse_of_http_is_answered_in_plain_text() {
    let c = cluster().await;
    let plain = |r: &super::client::Reply| r.headers.contains("content-type: text/plain") && !r.body.starts_with('{');
    let body = c.ask("DELETE", "/nodes/pve1/qemu/100", &c.auth, "purge=1").await;
    assert!(body.status == 501 && plain(&body), "{body:?}");
    let chunked =
        format!("POST /api2/json/pools HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{}\r\n0\r\n\r\n", c.auth);
    let chunked = c.raw(&chunked).await;
    assert!(chunked.status == 501 && plain(&chunked), "{chunked:?}");
    let text = c.ask("POST", "/pools", &format!("{}Content-Type: text/plain\r\n", c.auth), "poolid=x").await;
    assert!(text.status == 506 && plain(&text), "{text:?}");
    let json = c.ask("POST", "/pools", &format!("{}Content-Type: application/json\r\n", c.auth), "{").await;
    assert!(json.status == 500 && plain(&json), "{json:?}");
}

#[tokio::test]
async fn a_connection_ends_after_100_requests_and_after_an_error() {
    let c = cluster().await;
    let mut tls = c.connect().await;
    let one = format!("GET /api2/json/version HTTP/1.1\r\nHost: x\r\n{}\r\n", c.auth);
    for n in 1..=100 {
        tls.write_all(one.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 4096];
        let got = tls.read(&mut buffer).await.unwrap();
        let reply = parse(&buffer[..got]);
        assert_eq!(reply.headers.contains("connection: close"), n == 100, "request {n}: {reply:?}");
    }
    assert_eq!(tls.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let mut tls = c.connect().await;
    tls.write_all(format!("GET /api2/json/nothing HTTP/1.1\r\nHost: x\r\n{}\r\n", c.auth).as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let _ = tls.read_to_end(&mut all).await;
    assert_eq!(parse(&all).status, 501);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_five_seconds() {
    let c = cluster().await;
    let mut tls = c.connect().await;
    let began = Instant::now();
    let _ = tls.read(&mut [0; 16]).await;
    let waited = began.elapsed();
    assert!(waited > Duration::from_millis(4800) && waited < Duration::from_secs(7), "{waited:?}");
}

#[tokio::test]
async fn big_answers_are_compressed_for_those_who_accept_it() {
    let c = cluster().await;
    let headers = format!("{}Accept-Encoding: gzip\r\n", c.auth);
    assert!(c.ask("GET", "/cluster/resources", &headers, "").await.headers.contains("content-encoding: gzip"));
    assert!(!c.ask("GET", "/version", &headers, "").await.headers.contains("content-encoding"));
    assert!(!c.get("/cluster/resources").await.headers.contains("content-encoding"));
}

#[tokio::test]
async fn parameters_are_judged_as_strictly_as_by_the_real_schema() {
    let c = cluster().await;
    let path = c.machine(500, "").await;
    let config = format!("{path}/config");
    assert!(c.put(&config, "bogus=1").await.error("bogus").contains("not defined in schema"));
    assert_eq!(c.put(&config, "cores=0").await.error("cores"), "value must have a minimum value of 1");
    assert_eq!(c.put(&config, "onboot=true").await.error("onboot"), "type check ('boolean') failed - got 'true'");
    assert!(c.put(&config, "boot=order=net0").await.error("boot").starts_with("invalid format"));
    assert!(c.put(&config, "tags=a;b").await.error("b").contains("not defined"));
    assert_eq!(c.put(&config, "name=a&name=b").await.error("name"), "type check ('string') failed - got ARRAY");
    assert!(c.post(&format!("{path}/clone"), "").await.error("newid").contains("missing"));
    assert!(c.get("/nodes/pve1/qemu/abc/config").await.error("vmid").contains("VM ID"));
    let json = format!("{}Content-Type: application/json\r\n", c.auth);
    let reply = c.ask("PUT", &config, &json, r#"{"onboot":true,"tags":["b","a"],"cores":4}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let now = c.get(&config).await.data();
    assert_eq!((now["tags"].as_str(), now["onboot"].as_i64(), now["cores"].as_i64()), (Some("a;b"), Some(1), Some(4)));
    assert!(now["memory"].is_string(), "memory comes as text");
    let reply = c.ask("PUT", &config, &json, r#"{"net0":{"bridge":"vmbr0"}}"#).await;
    assert_eq!(reply.error("net0"), "type check ('string') failed - got HASH");
    assert_eq!(c.put(&config, "").await.message(), "no options specified");
}

#[tokio::test]
async fn tickets_need_the_csrf_token_for_changes_and_tokens_can_not_log_in() {
    let c = cluster().await;
    let wrong = c.ask("POST", "/access/ticket", "", "username=root@pam&password=no").await;
    assert_eq!((wrong.status, wrong.message().as_str()), (401, "authentication failure"));
    let form = format!("username=root%40pam&password={}", c.sim.root_password.expose());
    let login = c.ask("POST", "/access/ticket", "", &form).await.data();
    let cookie = format!("Cookie: PVEAuthCookie={}\r\n", login["ticket"].as_str().unwrap());
    assert_eq!(c.ask("GET", "/nodes", &cookie, "").await.status, 200);
    let without = c.ask("POST", "/access/roles", &cookie, "roleid=Some").await;
    assert_eq!((without.status, without.reason.as_str()), (401, "Permission denied - invalid csrf token"));
    let with = format!("{cookie}CSRFPreventionToken: {}\r\n", login["CSRFPreventionToken"].as_str().unwrap());
    assert_eq!(c.ask("POST", "/access/roles", &with, "roleid=Some&privs=VM.Audit").await.status, 200);
    assert!(
        c.ask("POST", "/access/roles", &with, "roleid=Old&privs=VM.Monitor")
            .await
            .error("privs")
            .contains("VM.Monitor")
    );
    assert_eq!(c.post("/access/ticket", &form).await.status, 403);
}
