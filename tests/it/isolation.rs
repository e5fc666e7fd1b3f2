//! One person's machines and jobs do not exist for another, whatever they send; a token does no more than its
//! scope says. Against the real binary and a simulated cluster.

use crate::appliance::{Appliance, PASSWORD, cluster};
use app::Actor;
use app::users::NewUser;
use base::Secret;
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};

/// Jon's token, and a read-only one of mira's, made before the appliance starts.
async fn more_tokens(appliance: &Appliance) -> (String, String) {
    let app = appliance.open();
    let new = NewUser { login: "jon".into(), name: String::new(), email: String::new(), role: Role::User };
    let (_, link) = app.users().invite(&Actor::host_console(), new).await.unwrap();
    let secret = || Secret::new(PASSWORD.to_owned());
    let jon = app.invites().accept(link.expose(), secret(), "test", "127.0.0.1").await.unwrap();
    let jon = app.sessions().authenticate(jon.cookie.expose(), "127.0.0.1").unwrap();
    let (_, jons) = app.tokens().create(&jon, "test", Scope::Full, None).await.unwrap();
    let mira = app.sessions().sign_in("mira", secret(), "test", "127.0.0.1").await.unwrap();
    let mira = app.sessions().authenticate(mira.cookie.expose(), "127.0.0.1").unwrap();
    let (_, reading) = app.tokens().create(&mira, "reading", Scope::Read, None).await.unwrap();
    app.close();
    (jons.expose().clone(), reading.expose().clone())
}

async fn a_machine(appliance: &Appliance) -> Value {
    let path = "/api/v1/guests?q=status:running%20kind:vm";
    let list = appliance.until(path, 30, |v| v["guests"].as_array().is_some_and(|a| !a.is_empty())).await;
    list["guests"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_yours_does_not_exist_for_you() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    let (jon, reading) = more_tokens(&appliance).await;
    appliance.start().await;
    let machine = a_machine(&appliance).await;
    let guest = format!("/api/v1/guests/{}", machine["id"].as_str().unwrap());
    let asked = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "reboot" }))).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let job = format!("/api/v1/jobs/{}", asked.json()["id"].as_str().unwrap());

    let figures = appliance.ask("GET", "/api/v1/figures", None).await.json();
    assert!(figures["guests"].as_array().unwrap().iter().any(|g| g["id"] == machine["id"]), "{figures}");
    assert!(!figures["nodes"].as_array().unwrap().is_empty());
    let mira = std::mem::replace(&mut appliance.token, jon);
    assert_eq!(appliance.ask("GET", "/api/v1/figures", None).await.json()["guests"], json!([]));
    assert_eq!(appliance.ask("GET", "/api/v1/guests", None).await.json()["total"], 0);
    assert_eq!(appliance.ask("GET", "/api/v1/jobs", None).await.json()["jobs"], json!([]));
    let tries = [
        ("GET", guest.clone(), None),
        ("POST", format!("{guest}/power"), Some(json!({ "action": "stop" }))),
        ("DELETE", guest.clone(), None),
        ("GET", job.clone(), None),
        ("POST", format!("{job}/cancel"), None),
        ("POST", format!("{job}/retry"), None),
        ("POST", format!("{job}/discard"), None),
    ];
    for (method, path, body) in tries {
        let answer = appliance.ask(method, &path, body).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
        assert!(!answer.body.contains(machine["name"].as_str().unwrap()), "{answer:?}");
    }
    for path in ["/api/v1/audit", "/api/v1/connections", "/api/v1/plugins", "/api/v1/audit/export"] {
        assert_eq!(appliance.ask("GET", path, None).await.status, 403, "{path}");
    }

    appliance.token = reading;
    assert_eq!(appliance.ask("GET", &guest, None).await.status, 200);
    let refused = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "stop" }))).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(appliance.ask("DELETE", &guest, None).await.status, 403);

    appliance.token = mira;
    appliance.until(&job, 30, |v| v["finished"].is_string()).await;
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxmox_away_is_said_and_the_last_state_stays() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let machine = a_machine(&appliance).await;
    let guest = format!("/api/v1/guests/{}", machine["id"].as_str().unwrap());
    cluster.faults().away(sim::Away::Refuse);
    appliance.until(&guest, 30, |v| v["stale"] == true).await;
    let refused = appliance.ask("POST", &format!("{guest}/power"), Some(json!({ "action": "reboot" }))).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("has not answered"), "{}", refused.body);
    let list = appliance.ask("GET", "/api/v1/guests?q=status:running", None).await.json();
    assert_eq!(list["total"], 0, "nobody knows what runs now: {list}");
    // The process dies meanwhile: what was known last is still there.
    appliance.kill().await;
    appliance.start().await;
    let known = appliance.ask("GET", &guest, None).await.json();
    assert_eq!(
        (&known["name"], &known["last_status"], &known["stale"]),
        (&machine["name"], &machine["status"], &json!(true))
    );
    cluster.faults().away(sim::Away::No);
    appliance.until(&guest, 30, |v| v["stale"] == false).await;
    appliance.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn delays_after_wrong_passwords_survive_a_kill_and_an_admin_lifts_them() {
    let cluster = cluster(0.1).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.start().await;
    let wrong = || Some(json!({ "login": "mira", "password": "not this one at all" }));
    for _ in 0..4 {
        assert_eq!(appliance.ask("POST", "/api/v1/auth/token", wrong()).await.status, 401);
    }
    let slowed = appliance.ask("POST", "/api/v1/auth/token", wrong()).await;
    assert_eq!(slowed.status, 429, "{slowed:?}");
    appliance.kill().await;
    appliance.start().await;
    for _ in 0..20 {
        let right = Some(json!({ "login": "mira", "password": PASSWORD }));
        let answer = appliance.ask("POST", "/api/v1/auth/token", right).await;
        if answer.status == 429 {
            break;
        }
        // The delay was over before the restart was: fail again until there is one.
        appliance.ask("POST", "/api/v1/auth/token", wrong()).await;
    }
    let output = appliance.command(&["user", "unlock", "mira"]).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let right = Some(json!({ "login": "mira", "password": PASSWORD }));
    assert_eq!(appliance.ask("POST", "/api/v1/auth/token", right).await.status, 200);
    let log = appliance.command(&["audit", "verify"]).output().await.unwrap();
    assert!(log.status.success() && String::from_utf8_lossy(&log.stdout).contains("all in order"), "{log:?}");
    appliance.stop().await;
    cluster.stop().await;
}
