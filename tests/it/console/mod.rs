//! Consoles through the real appliance process, with a simulated cluster behind it.

pub mod viewer;

use crate::appliance::{Answer, Appliance, PASSWORD, cluster};
use app::Actor;
use app::users::NewUser;
use base::Secret;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};
use sim::{AnswerFault, Sim};
use std::time::{Duration, Instant};
use viewer::{Refused, Socket, greet, key, press, update};

async fn house() -> (Sim, Appliance) {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    (cluster, appliance)
}

/// A machine that fits the filter words.
async fn machine(appliance: &Appliance, words: &str) -> Value {
    let path = format!("/api/v1/guests?q={}", words.replace(' ', "%20"));
    let list = appliance.until(&path, 30, |v| v["guests"][0]["stale"] == false).await;
    list["guests"][0].clone()
}

async fn ask(appliance: &Appliance, guest: &Value, kind: &str) -> Answer {
    let path = format!("/api/v1/guests/{}/console", guest["id"].as_str().unwrap());
    appliance.ask("POST", &path, Some(json!({ "kind": kind }))).await
}

/// The websocket's path with a fresh ticket.
async fn ticket(appliance: &Appliance, guest: &Value, kind: &str) -> String {
    let answer = ask(appliance, guest, kind).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let address = answer.json()["websocket"].as_str().unwrap().to_owned();
    let start = format!("wss://{}", appliance.address);
    address.strip_prefix(&start).unwrap_or_else(|| panic!("{address}")).to_owned()
}

async fn open(appliance: &Appliance, path: &str) -> Result<Socket, Refused> {
    let bearer = format!("Bearer {}", appliance.token);
    Socket::open(appliance, path, &[("authorization", &bearer)]).await
}

async fn audit(appliance: &Appliance, action: &str) -> Vec<Value> {
    let page = appliance.ask("GET", "/api/v1/audit?limit=200", None).await.json();
    page["entries"].as_array().unwrap().iter().filter(|e| e["action"] == action).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_moves_takes_keys_and_is_written_down() {
    let (cluster, mut appliance) = house().await;
    let guest = machine(&appliance, "status:running kind:vm").await;
    let vmid = u32::try_from(guest["vmid"].as_u64().unwrap()).unwrap();
    let mut socket = open(&appliance, &ticket(&appliance, &guest, "vnc").await).await.unwrap();
    let first = socket.first().await;
    assert_eq!(first["open"]["kind"], "vnc", "{first}");
    let password = first["open"]["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 8);
    let mut line = socket.bytes();
    let screen = greet(&mut line, &password).await.unwrap();
    assert_eq!(screen.name, guest["name"].as_str().unwrap());
    let whole = update(&mut line, &screen, false).await;
    assert_eq!(
        whole.iter().map(|(_, p)| p.len()).sum::<usize>(),
        usize::from(screen.width) * usize::from(screen.height) * 4
    );
    // The bar moves by itself, so an incremental update comes without anything being done.
    let moved = tokio::time::timeout(Duration::from_secs(10), update(&mut line, &screen, true)).await.unwrap();
    assert!(!moved.is_empty() && moved.len() < whole.len(), "only what changed is sent");
    press(&mut line, "Hi 5").await;
    for code in [0xFFE3, 0xFFE9, 0xFFFF] {
        key(&mut line, true, code).await;
    }
    let began = Instant::now();
    while cluster.faults().typed(vmid) != "Hi 5" {
        assert!(began.elapsed() < Duration::from_secs(10), "typed: {:?}", cluster.faults().typed(vmid));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let opened = audit(&appliance, "guest.console.open").await;
    assert_eq!(opened.len(), 1);
    assert!(opened[0]["subject"].as_str().unwrap().contains(guest["name"].as_str().unwrap()), "{opened:?}");
    drop(line);
    let began = Instant::now();
    let closed = loop {
        let found = audit(&appliance, "guest.console.close").await;
        if let [one] = found.as_slice() {
            break one.clone();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no end was written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(closed["detail"].as_str().unwrap().starts_with("screen, open for "), "{closed}");
    let log = appliance.log();
    assert!(!log.contains(&password) && !log.contains("Hi 5"), "{log}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_answers_and_knows_its_size() {
    let (cluster, mut appliance) = house().await;
    for words in ["status:running kind:container", "status:running kind:vm"] {
        let guest = machine(&appliance, words).await;
        let mut asked = ask(&appliance, &guest, "serial").await;
        let mut guest = guest;
        if asked.status == 409 {
            // Not every machine has a serial port; the answer says what to do.
            assert!(asked.body.contains("no serial port"), "{asked:?}");
            let all = appliance.ask("GET", "/api/v1/guests?q=status:running%20kind:vm", None).await.json();
            for other in all["guests"].as_array().unwrap() {
                asked = ask(&appliance, other, "serial").await;
                guest = other.clone();
                if asked.status == 201 {
                    break;
                }
            }
        }
        assert_eq!(asked.status, 201, "{asked:?}");
        let mut socket = open(&appliance, &ticket(&appliance, &guest, "serial").await).await.unwrap();
        assert_eq!(socket.first().await, json!({ "open": { "kind": "serial", "password": null } }));
        socket.tell(json!({ "columns": 101, "rows": 33 })).await;
        socket.say(b"stty\rhostname\recho gr\xc3\xbc\xc3\x9fe\r").await;
        let said = socket.until_says("grüße\r\n").await;
        assert!(said.contains("rows 33; columns 101;"), "{said:?}");
        assert!(said.contains(&format!("\r\n{}\r\n", guest["name"].as_str().unwrap())), "{said:?}");
        drop(socket);
    }
    let container = machine(&appliance, "status:running kind:container").await;
    let refused = ask(&appliance, &container, "vnc").await;
    assert_eq!((refused.status, refused.body.contains("no such console")), (409, true), "{refused:?}");
    assert_eq!(ask(&appliance, &container, "spice").await.status, 422);
    appliance.stop().await;
    cluster.stop().await;
}

/// A second token of mira's, a read-only one, and jon's, made before the appliance starts.
async fn more_tokens(appliance: &Appliance) -> [String; 3] {
    let app = appliance.open();
    let new = NewUser { login: "jon".into(), name: String::new(), email: String::new(), role: Role::User };
    let (_, link) = app.users().invite(&Actor::host_console(), new).await.unwrap();
    let secret = || Secret::new(PASSWORD.to_owned());
    let jon = app.invites().accept(link.expose(), secret(), "test", "127.0.0.1").await.unwrap();
    let jon = app.sessions().authenticate(jon.cookie.expose(), "127.0.0.1").unwrap();
    let mira = app.sessions().sign_in("mira", secret(), "test", "127.0.0.1").await.unwrap();
    let mira = app.sessions().authenticate(mira.cookie.expose(), "127.0.0.1").unwrap();
    let mut out = Vec::new();
    for (actor, scope) in [(&mira, Scope::Operate), (&mira, Scope::Read), (&jon, Scope::Full)] {
        let (_, token) = app.tokens().create(actor, "more", scope, None).await.unwrap();
        out.push(token.expose().clone());
    }
    app.close();
    out.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_console_for_who_asked_for_it() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    let [operate, reading, jon] = more_tokens(&appliance).await;
    appliance.start().await;
    let guest = machine(&appliance, "status:running kind:vm").await;
    let all = appliance.ask("GET", "/api/v1/guests?q=status:running%20kind:vm", None).await.json();
    let other = &all["guests"][1];
    let socket_of = |guest: &Value| format!("/machines/{}/console/ws", guest["id"].as_str().unwrap());

    let good = ticket(&appliance, &guest, "vnc").await;
    let query = good.split_once('?').unwrap().1.to_owned();
    let refused = open(&appliance, &format!("{}?{query}", socket_of(other))).await.err().unwrap();
    assert_eq!(refused.0, 403, "{refused:?}");
    assert_eq!(open(&appliance, &good).await.err().unwrap().0, 403, "one try");

    let good = ticket(&appliance, &guest, "vnc").await;
    let full = std::mem::replace(&mut appliance.token, operate);
    assert_eq!(open(&appliance, &good).await.err().unwrap().0, 403, "another token of the same person");
    let good = ticket(&appliance, &guest, "vnc").await;
    let mut socket = open(&appliance, &good).await.unwrap();
    assert!(socket.first().await["open"].is_object());
    assert_eq!(open(&appliance, &good).await.err().unwrap().0, 403, "used");
    for bad in
        ["", "?ticket=", "?ticket=x", "?ticket=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        assert_eq!(open(&appliance, &format!("{}{bad}", socket_of(&guest))).await.err().unwrap().0, 403, "{bad:?}");
    }

    appliance.token = reading;
    let refused = ask(&appliance, &guest, "vnc").await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(open(&appliance, &socket_of(&guest)).await.err().unwrap().0, 403);

    appliance.token = jon;
    assert_eq!(ask(&appliance, &guest, "vnc").await.status, 404);
    let (status, body) = open(&appliance, &socket_of(&guest)).await.err().unwrap();
    assert_eq!(status, 404);
    assert!(!body.contains(guest["name"].as_str().unwrap()), "{body}");

    appliance.token = full;
    drop(socket);
    appliance.stop().await;
    cluster.stop().await;
}

/// mira's cookie, by the sign-in page's form.
pub async fn cookie(appliance: &Appliance) -> String {
    let page = appliance.raw("GET", "/sign-in", &[], "").await;
    let value = |text: &str, start: &str, end: &str| {
        let from = text.find(start).unwrap_or_else(|| panic!("{start} in {text}")) + start.len();
        text[from..].split(end).next().unwrap().to_owned()
    };
    let form = value(&page, "set-cookie: ", ";");
    let csrf = value(&page, "name=\"csrf\" value=\"", "\"");
    let body = format!("csrf={csrf}&login=mira&password={}", PASSWORD.replace(' ', "+"));
    let headers = [
        ("cookie", form.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let answer = appliance.raw("POST", "/sign-in", &headers, &body).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let session = answer.lines().filter(|l| l.to_lowercase().starts_with("set-cookie:"));
    session.map(|l| value(l, ": ", ";")).find(|c| c.starts_with("__Host-steward=")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_opens_it_only_from_our_own_page_and_signing_out_ends_it() {
    let (cluster, mut appliance) = house().await;
    let guest = machine(&appliance, "status:running kind:vm").await;
    let cookie = cookie(&appliance).await;
    let base = format!("/machines/{}/console", guest["id"].as_str().unwrap());
    let page = appliance.raw("GET", &base, &[("cookie", &cookie)], "").await;
    assert!(page.contains("data-console="), "{page}");
    let csrf = page.split("name=\"csrf\" content=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = "application/x-www-form-urlencoded";
    let own = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", form),
        ("accept", "application/json"),
    ];
    let get_ticket = async || {
        let answer = appliance.raw("POST", &format!("{base}/ticket"), &own, &format!("csrf={csrf}&kind=vnc")).await;
        let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
        let at = body.find("\"ticket\":\"").unwrap_or_else(|| panic!("{answer}")) + 10;
        body[at..].split('"').next().unwrap().to_owned()
    };
    let without = appliance.raw("POST", &format!("{base}/ticket"), &own, "kind=vnc").await;
    assert!(without.starts_with("HTTP/1.1 403"), "no ticket without the form's token: {without}");
    let origin = format!("https://{}", appliance.address);
    let ticket = get_ticket().await;
    let path = format!("{base}/ws?ticket={ticket}");
    for foreign in ["https://evil.example", "null"] {
        let refused = Socket::open(&appliance, &path, &[("cookie", &cookie), ("origin", foreign)]).await.err().unwrap();
        assert_eq!(refused.0, 403, "{refused:?}");
    }
    let nowhere = Socket::open(&appliance, &path, &[("cookie", &cookie)]).await.err().unwrap();
    assert_eq!(nowhere.0, 403, "a browser always says where it comes from");
    let mut socket = Socket::open(&appliance, &path, &[("cookie", &cookie), ("origin", &origin)]).await.unwrap();
    assert!(socket.first().await["open"].is_object());
    let out = appliance.raw("POST", "/sign-out", &own, &format!("csrf={csrf}")).await;
    assert!(out.starts_with("HTTP/1.1 303"), "{out}");
    let began = Instant::now();
    assert_eq!(socket.until_closed().await, (4003, "You are signed out.".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_a_stopped_machine_and_a_stopping_appliance_end_it_with_their_reason() {
    let (cluster, mut appliance) = house().await;
    let guest = machine(&appliance, "status:running kind:vm").await;
    let connect = async |appliance: &Appliance| {
        let mut socket = open(appliance, &ticket(appliance, &guest, "vnc").await).await.unwrap();
        assert!(socket.first().await["open"].is_object());
        socket
    };
    let mut socket = connect(&appliance).await;
    // The greeting is there, so the machine's side is.
    socket.until_says("RFB 003.008").await;
    cluster.faults().cut_consoles();
    assert_eq!(socket.until_closed().await.0, 4000);
    let mut socket = connect(&appliance).await;
    appliance.stop().await;
    assert_eq!(socket.until_closed().await.0, 1001);
    appliance.start().await;
    let closed = audit(&appliance, "guest.console.close").await;
    assert!(closed.iter().any(|e| e["detail"].as_str().unwrap().ends_with("Steward stops")), "{closed:?}");
    machine(&appliance, "status:running kind:vm").await;
    let mut socket = connect(&appliance).await;
    let path = format!("/api/v1/guests/{}", guest["id"].as_str().unwrap());
    let asked = appliance.ask("POST", &format!("{path}/power"), Some(json!({ "action": "stop" }))).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(socket.until_closed().await.0, 4000);
    appliance.until(&path, 30, |v| v["status"] == "stopped").await;
    let refused = ask(&appliance, &guest, "vnc").await;
    assert_eq!((refused.status, refused.body.contains("It is off")), (409, true), "{refused:?}");
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proxmox_refuses_or_never_answers_is_said() {
    let (cluster, mut appliance) = house().await;
    let guest = machine(&appliance, "status:running kind:vm").await;
    let answer = |path: &str, status, text: &str, delay| AnswerFault {
        path: path.into(),
        status,
        text: text.into(),
        delay,
        ..AnswerFault::default()
    };
    let path = ticket(&appliance, &guest, "vnc").await;
    cluster.faults().answer(answer("/vncproxy", 403, "Permission check failed (/vms/100, VM.Console)", 0.0));
    let mut socket = open(&appliance, &path).await.unwrap();
    let first = socket.first().await;
    assert!(first["error"].as_str().unwrap().contains("VM.Console"), "{first}");
    assert_eq!(socket.until_closed().await.0, 1011);

    // The websocket comes too late: the real Proxmox then answers nothing at all, and we wait ten seconds.
    let path = ticket(&appliance, &guest, "vnc").await;
    cluster.faults().answer(answer("/vncwebsocket", 0, "", 3.0));
    let began = Instant::now();
    let mut socket = open(&appliance, &path).await.unwrap();
    let first = socket.first().await;
    assert!(first["error"].as_str().unwrap().contains("within 10 seconds"), "{first}");
    assert!((9..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());

    cluster.faults().away(sim::Away::Refuse);
    let guest_path = format!("/api/v1/guests/{}", guest["id"].as_str().unwrap());
    appliance.until(&guest_path, 30, |v| v["stale"] == true).await;
    assert_eq!(ask(&appliance, &guest, "vnc").await.status, 503);
    cluster.faults().away(sim::Away::No);
    appliance.until(&guest_path, 30, |v| v["stale"] == false).await;
    assert_eq!(ask(&appliance, &guest, "vnc").await.status, 201);
    assert!(audit(&appliance, "guest.console.open").await.is_empty(), "none was ever open");
    appliance.stop().await;
    cluster.stop().await;
}
