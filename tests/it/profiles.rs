//! Hardware profiles: who may do what with them, what they fix, and machines made with them, on the simulated cluster.

use crate::house::{Answer, Browser, House};
use crate::quotas::{listed, run_until_over, wanted};
use crate::sharing::connected;
use app::Actor;
use axum::body::Body;
use base::Kind;
use http::{Method, Request, StatusCode, header};
use model::guests::actions::{AddDisk, ApplyProfile, ChangeNic, ChangeSettings, CloneGuest, NicSpec, Start};
use model::guests::{GuestAction, GuestRequest, GuestSource};
use model::jobs::JobState;
use model::profiles::{MoreDisk, Profile, ProfileRequest};
use model::quotas::{Allowance, UserQuota};
use model::sessions::Scope;
use model::users::Role;
use serde_json::{Value, json};

async fn rest(house: &House, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    house.call(request.body(body.map_or_else(Body::empty, |b| Body::from(b.to_string()))).unwrap()).await
}

async fn token_of(house: &House, who: &Browser<'_>) -> String {
    house.token(who, Scope::Full).await.expose().clone()
}

fn request(name: &str, values: &[(&str, &str)], locked: &[&str]) -> ProfileRequest {
    ProfileRequest {
        name: name.into(),
        values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        locked: locked.iter().map(|k| (*k).to_owned()).collect(),
        ..ProfileRequest::default()
    }
}

async fn made(house: &House, request: ProfileRequest) -> Profile {
    house.app.hardware_profiles().put(&Actor::host_console(), None, request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_keep_profiles_and_everybody_else_reads_them() {
    let house = House::new();
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let (root, user) = (token_of(&house, &admin).await, token_of(&house, &mira).await);
    let list = rest(&house, &user, Method::GET, "/profiles", None).await.json();
    let names: Vec<_> = list["profiles"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Small", "Medium", "Large", "Windows desktop"], "{list:#}");
    let body = json!({ "name": "Web", "values": { "cores": "2", "memory": "2048" }, "locked": ["memory"],
                       "disks": [{ "gib": 5, "ssd": true }] });
    let refused = rest(&house, &user, Method::POST, "/profiles", Some(body.clone())).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    let wrong = json!({ "name": "small", "values": { "cores": "2" } });
    let wrong = rest(&house, &root, Method::POST, "/profiles", Some(wrong)).await;
    assert!(wrong.json()["errors"]["name"].as_str().unwrap().contains("already"), "{wrong:?}");
    let wrong = json!({ "name": "X", "values": { "cores": "0", "flying": "1" }, "locked": ["memory"] });
    let wrong = rest(&house, &root, Method::POST, "/profiles", Some(wrong)).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = wrong.json()["errors"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["cores", "flying", "memory"]);
    let new = rest(&house, &root, Method::POST, "/profiles", Some(body.clone())).await;
    assert_eq!(new.status, StatusCode::CREATED, "{new:?}");
    let path = new.header("location").trim_start_matches("/api/v1").to_owned();
    let read = rest(&house, &user, Method::GET, &path, None).await.json();
    assert_eq!(
        (&read["values"], &read["locked"], &read["disks"][0]["gib"]),
        (&body["values"], &body["locked"], &json!(5))
    );
    assert_eq!(read["summary"], "2 cores, 2 GiB memory, 5 GiB on 1 disk more");
    let body = json!({ "name": "Web", "values": { "cores": "4" } });
    assert_eq!(rest(&house, &user, Method::PUT, &path, Some(body.clone())).await.status, StatusCode::FORBIDDEN);
    let changed = rest(&house, &root, Method::PUT, &path, Some(body)).await.json();
    assert_eq!((&changed["values"], &changed["locked"]), (&json!({ "cores": "4" }), &json!([])));
    assert_eq!(rest(&house, &user, Method::DELETE, &path, None).await.status, StatusCode::FORBIDDEN);
    assert_eq!(rest(&house, &root, Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(rest(&house, &root, Method::GET, &path, None).await.status, StatusCode::NOT_FOUND);
    let policy = json!({ "required": true });
    assert_eq!(
        rest(&house, &user, Method::PUT, "/profile-policy", Some(policy.clone())).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(rest(&house, &root, Method::PUT, "/profile-policy", Some(policy)).await.status, StatusCode::OK);
    assert_eq!(rest(&house, &user, Method::GET, "/profiles", None).await.json()["required"], true);
    let audit = rest(&house, &root, Method::GET, "/audit", None).await.body;
    for word in ["profile.create", "profile.change", "profile.delete", "profile.policy"] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_names_what_is_wrong_and_asks_before_it_deletes() {
    let house = House::new();
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    assert_eq!(mira.get("/settings/profiles").await.status, StatusCode::FORBIDDEN);
    let form = "name=Web&cores=2&memory=much&lock.disk=on&disks.1.gib=x";
    let wrong = admin.send("/settings/profiles/new", "/settings/profiles/new", form).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
    for id in ["memory-error", "disk-error", "disks.1.gib-error"] {
        assert!(wrong.body.contains(&format!("id=\"{id}\"")), "{id}: {}", wrong.body);
    }
    assert!(wrong.body.contains("value=\"much\""), "what was typed stays");
    let more = admin.send("/settings/profiles/new", "/settings/profiles/new", "name=Web&rows=1&go=more").await;
    assert!(more.body.contains("name=\"disks.1.gib\"") && more.body.contains("value=\"Web\""), "{}", more.body);
    let form = "name=Web&note=For+sites&cores=2&memory=1024&lock.memory=on&disks.1.gib=5&disks.1.ssd=1";
    let saved = admin.send("/settings/profiles/new", "/settings/profiles/new", form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.body);
    let p = house.app.hardware_profiles().find(&Actor::host_console(), "web").unwrap();
    assert_eq!(
        (p.value("memory"), p.locked.as_slice(), p.disks.len()),
        (Some("1024"), ["memory".to_owned()].as_slice(), 1)
    );
    let list = admin.get("/settings/profiles").await.body;
    assert!(list.contains("2 cores, 1 GiB memory") && list.contains("For sites"), "{list}");
    let copy = admin.get(&format!("/settings/profiles/new?copy={}", p.id)).await.body;
    assert!(copy.contains("value=\"Web copy\"") && copy.contains("name=\"disks.0.gib\""), "{copy}");
    let page = format!("/settings/profiles/{}", p.id);
    let no = admin.send(&page, &format!("{page}/delete"), "confirm=web").await;
    assert_eq!(no.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(no.body.contains("exactly as shown"), "{}", no.body);
    let gone = admin.send(&page, &format!("{page}/delete"), "confirm=Web").await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);
    assert!(house.app.hardware_profiles().find(&Actor::host_console(), "web").is_err());
    let answer = admin.send("/settings/profiles", "/settings/profiles/policy", "required=off&required=on").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(house.app.hardware_profiles().required().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_fixes_can_not_be_chosen_by_rest_or_page_but_by_admins() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let (root, user) = (token_of(&house, &admin).await, token_of(&house, &mira).await);
    let fixed =
        request("Tiny", &[("cores", "1"), ("memory", "1024"), ("bridge", "vmbr0"), ("vlan", "0")], &["memory", "vlan"]);
    let tiny = made(&house, fixed).await;
    let spec = wanted(&house, "lark");
    let GuestSource::Template { vmid, .. } = spec.source else { panic!() };
    let body = |more: Value| {
        let source = json!({ "from": "template", "vmid": vmid });
        let mut all = json!({ "name": "lark", "node": "pve1", "source": source, "start": false });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(all)
    };
    let none = rest(&house, &user, Method::POST, "/guests", body(json!({ "profile": "none" }))).await;
    assert!(none.json()["errors"]["profile"].is_string(), "{none:?}");
    let less = rest(&house, &user, Method::POST, "/guests", body(json!({ "cores": 1 }))).await;
    assert!(less.json()["errors"]["bridge"].is_string(), "{less:?}");
    let over = body(json!({ "profile": "tiny", "memory": 4096, "vlan": 7, "cores": 2 }));
    let over = rest(&house, &user, Method::POST, "/guests", over).await;
    assert_eq!(over.status, StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> = over.json()["errors"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["memory", "vlan"], "cores are free: {over:?}");
    // The page shows it as text, and what is sent in its place counts for nothing.
    let source = format!("name=lark&from=template&template={vmid}&node=pve1&step=source&go=next");
    mira.send("/machines/new", "/machines/new", &source).await;
    let step = source.replace("step=source&go=next", &format!("step=size&go=profile&profile={}", tiny.id));
    let size = mira.follow("/machines/new", "/machines/new", &step).await.body;
    assert!(
        size.contains("fixed by Tiny") && !size.contains("id=\"memory\"") && size.contains("id=\"cores\""),
        "{size}"
    );
    let size = admin.follow("/machines/new", "/machines/new", &step).await.body;
    assert!(!size.contains("fixed by Tiny") && size.contains("id=\"memory\""), "admins choose freely: {size}");
    let forged = step.replace("step=size&go=profile", "step=review&go=create")
        + &format!(
            "&filled={}&cores=1&memory=8192&disk={}&bridge=vmbr0&mode=dhcp&start=off",
            tiny.id,
            spec.disk.unwrap()
        );
    let asked = mira.send("/machines/new", "/machines/new", &forged).await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.body);
    let job = house.app.jobs().open(&mira.actor()).unwrap().remove(0);
    let args = job.kind.args(job.id);
    assert_eq!((&args["memory"], &args["profile"]), (&json!(1024), &json!(tiny.id)));
    let free = body(json!({ "name": "wren", "profile": "tiny", "memory": 4096 }));
    let free = rest(&house, &root, Method::POST, "/guests", free).await;
    assert_eq!(free.status, StatusCode::ACCEPTED, "{free:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_profile_must_be_picked_none_is_refused() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    house.app.hardware_profiles().set_required(&Actor::host_console(), true).await.unwrap();
    let (guests, spec) = (house.app.guests(), wanted(&house, "lark"));
    let e = guests.request_create(&mira.actor(), spec.clone(), None).await.unwrap_err();
    assert!(e.fields().contains_key("profile"), "{e:?}");
    // The wizard begins with the first one that fits.
    let GuestSource::Template { vmid, .. } = spec.source else { panic!() };
    let source = format!("name=lark&from=template&template={vmid}&node=pve1&step=source&go=next");
    let size = mira.follow("/machines/new", "/machines/new", &source).await.body;
    let small = house.app.hardware_profiles().find(&mira.actor(), "Small").unwrap();
    assert!(
        size.contains(&format!("name=\"filled\" value=\"{}\"", small.id)) && !size.contains("No profile"),
        "{size}"
    );
    assert!(size.contains("id=\"memory\" name=\"memory\" value=\"1024\""), "{size}");
    guests.request_create(&admin.actor(), spec.clone(), None).await.unwrap();
    let spec = GuestRequest { profile: Some(small.id.to_string()), name: "wren".into(), ..spec };
    guests.request_create(&mira.actor(), spec, None).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_made_with_a_profile_has_it_counts_for_the_quota_and_keeps_to_it() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let actor = mira.actor();
    let mut twin = request(
        "Twin",
        &[("cores", "2"), ("sockets", "2"), ("memory", "1024"), ("display", "qxl"), ("smbios_serial", "Wäge 7")],
        &["cores", "display", "disks"],
    );
    twin.disks = vec![MoreDisk { gib: 3, ssd: Some(true), ..MoreDisk::default() }];
    let twin = made(&house, twin).await;
    let spec = GuestRequest { profile: Some(twin.id.to_string()), ..wanted(&house, "twin-01") };
    let limit = |cores, disk| UserQuota {
        cores: Allowance::AtMost(cores),
        disk: Allowance::AtMost(disk),
        ..UserQuota::default()
    };
    let console = Actor::host_console();
    house.app.quotas().set(&console, actor.user_id().unwrap(), limit(3, spec.disk.unwrap() + 2)).await.unwrap();
    let e = house.app.guests().request_create(&actor, spec.clone(), None).await.unwrap_err();
    assert_eq!(e.kind(), Kind::Conflict);
    assert_eq!(e.fields().keys().collect::<Vec<_>>(), ["cores", "disk"], "two sockets of two, and both disks");
    house.app.quotas().set(&console, actor.user_id().unwrap(), limit(8, spec.disk.unwrap() + 3)).await.unwrap();
    let (guest, job) = house.app.guests().request_create(&actor, spec, None).await.unwrap();
    let job = run_until_over(&house, job.id).await;
    assert_eq!((job.state, job.error.as_deref()), (JobState::Succeeded, None));
    let live = listed(&house, "twin-01").await;
    assert_eq!(live.row.profile, Some(twin.id));
    let all = house.app.guests().hardware(&actor, guest.id).await.unwrap();
    let value = |key: &str| all.value(key).unwrap().current.clone();
    assert_eq!(
        (value("display"), value("smbios_serial"), value("sockets")),
        ("qxl".into(), "Wäge 7".into(), "2".into())
    );
    let sizes: Vec<u64> = all.disks.iter().filter(|d| d.kind == "disk" && !d.boot).map(|d| d.size >> 30).collect();
    assert_eq!(sizes, [3], "{:#?}", all.disks);
    assert_eq!(house.app.hardware_profiles().used_by(&console, twin.id), ["twin-01"]);

    // What it fixes, its owner does not change later either.
    let change = |key: &str, value: &str| -> GuestAction {
        ChangeSettings { values: [(key.to_owned(), value.to_owned())].into(), digest: None }.into()
    };
    let ask = |who: &Actor, action: GuestAction| {
        let (house, who) = (&house, who.clone());
        async move { house.app.guests().request_action(&who, guest.id, action).await.map(Option::unwrap) }
    };
    for (action, field) in [
        (change("cores", "4"), "cores"),
        (change("cpus", "1"), "cpus"),
        (change("display", "std"), "display"),
        (AddDisk { bus: "scsi".into(), storage: "nas".into(), gib: 1, path: None }.into(), "bus"),
    ] {
        let e = ask(&actor, action.clone()).await.unwrap_err();
        assert!(e.fields()[field].contains("“Twin”"), "{action:?}: {e:?}");
    }
    let nic = NicSpec { bridge: "vmbr0".into(), vlan: Some(9), link: true, ..NicSpec::default() };
    let free = ask(&actor, ChangeNic { key: "net0".into(), nic }.into()).await.unwrap();
    assert_eq!(run_until_over(&house, free.id).await.state, JobState::Succeeded, "its card is free");
    let small = house.app.hardware_profiles().find(&actor, "Small").unwrap();
    let e = house.app.guests().plan_profile(&actor, guest.id, small.id, false).await.unwrap_err();
    assert!(e.message().contains("only an admin can apply “Small”"), "{e:?}");
    // A copy is no way out of it.
    let copy = CloneGuest { name: "twin-02".into(), ..CloneGuest::default() };
    house.app.quotas().set(&console, actor.user_id().unwrap(), UserQuota::default()).await.unwrap();
    let job = ask(&actor, copy.into()).await.unwrap();
    let copy = house.app.guests().get(&actor, job.subject.guest().unwrap()).unwrap();
    assert_eq!(copy.row.profile, Some(twin.id));
    assert_eq!(run_until_over(&house, job.id).await.state, JobState::Succeeded);
    let admin_change = ask(&admin.actor(), change("display", "std")).await.unwrap();
    assert_eq!(run_until_over(&house, admin_change.id).await.state, JobState::Succeeded);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_previewed_and_applied_and_disks_only_when_asked_for() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mut mira = house.somebody(&admin, "mira", Role::User).await;
    let actor = mira.actor();
    let spec = wanted(&house, "plain-01");
    let before = spec.disk.unwrap();
    let (guest, job) = house.app.guests().request_create(&actor, spec, None).await.unwrap();
    assert_eq!(run_until_over(&house, job.id).await.state, JobState::Succeeded);
    listed(&house, "plain-01").await;
    let job = house.app.guests().request_action(&actor, guest.id, Start {}).await.unwrap().unwrap();
    assert_eq!(run_until_over(&house, job.id).await.state, JobState::Succeeded);
    house.app.inventory().look().await;
    let mut big = request(
        "Big",
        &[
            ("cores", "4"),
            ("memory", "2048"),
            ("disk", &(before + 4).to_string()),
            ("disk_cache", "writeback"),
            ("vlan", "30"),
            ("firmware", "ovmf"),
            ("smbios_product", "A B"),
            ("pci", "gpu1"),
        ],
        &[],
    );
    big.disks = vec![MoreDisk { gib: 2, ..MoreDisk::default() }];
    let big = made(&house, big).await;
    let token = token_of(&house, &mira).await;
    let path = format!("/guests/{}/profile", guest.id);
    let seen = rest(&house, &token, Method::POST, &path, Some(json!({ "profile": "Big", "preview": true }))).await;
    assert_eq!(seen.status, StatusCode::OK, "{seen:?}");
    let plan = seen.json();
    let live = |key: &str| {
        let all = plan["changes"].as_array().unwrap();
        all.iter().find(|c| c["key"] == key).unwrap_or_else(|| panic!("{key}: {plan:#}"))["live"].clone()
    };
    assert_eq!((live("cores"), live("vlan"), live("disk_cache")), (json!(false), json!(true), json!(false)));
    let stays: Vec<_> = plan["stays"].as_array().unwrap().iter().map(|s| s["key"].as_str().unwrap()).collect();
    assert_eq!(stays, ["disk", "disks", "firmware"]);
    assert_eq!((&plan["grow"], &plan["add"]), (&Value::Null, &json!([])));
    // The page says the same, as a table.
    let page = format!("/machines/{}/hardware/profile", guest.id);
    let shown = mira.send(&page, &page, &format!("go=preview&disks=on&profile={}", big.id)).await.body;
    for words in ["Cores", "after a restart", "New disk", "VLAN tag", "Firmware"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // It counts for the quota before anything is done.
    let own = UserQuota { cores: Allowance::AtMost(3), disk: Allowance::AtMost(before + 5), ..UserQuota::default() };
    house.app.quotas().set(&Actor::host_console(), actor.user_id().unwrap(), own).await.unwrap();
    let much = rest(&house, &token, Method::POST, &path, Some(json!({ "profile": "Big", "disks": true }))).await;
    assert_eq!(much.status, StatusCode::CONFLICT, "{much:?}");
    assert!(much.json()["errors"]["cores"].is_string() && much.json()["errors"]["disk"].is_string(), "{much:?}");
    house.app.quotas().set(&Actor::host_console(), actor.user_id().unwrap(), UserQuota::default()).await.unwrap();

    let asked = rest(&house, &token, Method::POST, &path, Some(json!({ "profile": "Big", "disks": true }))).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let job = run_until_over(&house, asked.json()["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!((job.state, job.error.as_deref()), (JobState::Succeeded, None));
    let all = house.app.guests().hardware(&actor, guest.id).await.unwrap();
    let first = all.disks.iter().find(|d| d.boot && d.kind == "disk").unwrap();
    assert_eq!(first.size >> 30, before + 4, "{:#?}", all.disks);
    assert_eq!(all.disks.iter().filter(|d| d.kind == "disk" && d.size >> 30 == 2).count(), 1);
    assert_eq!((all.value("cores").unwrap().wanted(), all.value("pci").unwrap().wanted()), ("4", "gpu1"));
    assert_eq!((all.nics[0].vlan, all.value("smbios_product").unwrap().wanted()), (Some(30), "A B"));
    assert_eq!(all.value("firmware").unwrap().wanted(), "seabios");
    assert_eq!(house.app.guests().get(&actor, guest.id).unwrap().row.profile, Some(big.id));
    // Again: nothing is different, and no disk comes twice.
    let again = house.app.guests().plan_profile(&actor, guest.id, big.id, true).await.unwrap();
    assert!(again.changes.is_empty() && again.grow.is_none() && again.add.is_empty(), "{again:#?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_may_only_look_do_not_apply() {
    let (house, cluster) = connected().await;
    let admin = house.admin().await;
    let mira = house.somebody(&admin, "mira", Role::User).await;
    let all = house.app.guests().list(&Actor::host_console(), "status:running kind:vm -is:template");
    let (id, user) = (all[0].row.id, mira.actor().user_id().unwrap());
    let small = house.app.hardware_profiles().find(&mira.actor(), "Small").unwrap().id;
    let e = house.app.guests().plan_profile(&mira.actor(), id, small, false).await.unwrap_err();
    assert_eq!(e.kind(), Kind::NotFound);
    let right = model::access::GuestRight::Use;
    house.app.guests().share(&Actor::host_console(), id, user, right).await.unwrap();
    let e = house
        .app
        .guests()
        .request_action(&mira.actor(), id, ApplyProfile { profile: small.to_string(), ..ApplyProfile::default() })
        .await
        .unwrap_err();
    assert_eq!(e.kind(), Kind::Forbidden);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn page_profile_and_rest_take_and_refuse_the_same_values() {
    let (house, cluster) = connected().await;
    let mut admin = house.admin().await;
    let root = token_of(&house, &admin).await;
    let guest = house.app.guests().list(&Actor::host_console(), "kind:vm status:running").remove(0).row.id;
    let page = format!("/machines/{guest}/hardware");
    for (group, key, value, good) in [
        ("processor", "cores", "2", true),
        ("processor", "cores", "513", false),
        ("processor", "cpu_type", "host,flags=+aes", true),
        ("processor", "cpu_type", "host,args=-x", false),
        ("processor", "numa", "maybe", false),
        ("system", "system", "windows11", true),
        ("system", "system", "win11", false),
        ("system", "display", "cga", false),
        ("system", "hotplug", "network, disk", true),
        ("system", "hotplug", "sound", false),
        ("identity", "smbios_serial", "A 7", true),
        ("identity", "smbios_serial", "1234567890123456789012345678901234567890x", false),
        ("devices-of-the-node", "pci", "0000:01:00.0", false),
    ] {
        let text: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let form = format!("name={key}-{}&{key}={text}", value.len());
        let plan = json!({ "values": { key: value } });
        let body = json!({ "name": format!("rest {key} {value}").get(..40.min(6 + key.len() + value.len())), "values": { key: value } });
        let answers = [
            ("tab", admin.send(&page, &format!("{page}/edit/{group}"), &form).await),
            ("profile's page", admin.send("/settings/profiles/new", "/settings/profiles/new", &form).await),
            (
                "machine by REST",
                rest(&house, &root, Method::POST, &format!("/guests/{guest}/hardware/plan"), Some(plan)).await,
            ),
            ("profile by REST", rest(&house, &root, Method::POST, "/profiles", Some(body)).await),
        ];
        for (door, answer) in answers {
            let refused = answer.status == StatusCode::UNPROCESSABLE_ENTITY;
            assert_eq!(refused, !good, "{door}: {key}={value}: {answer:?}");
            let names_it =
                answer.body.contains(&format!("id=\"{key}-error\"")) || answer.body.contains(&format!("\"{key}\":"));
            assert!(good || names_it, "{door} names {key}: {}", answer.body);
        }
    }
    // What the tab can set, a profile can hold and apply.
    made(&house, request("Flags", &[("cpu_type", "host,flags=+aes"), ("cores", "512")], &[])).await;
    let preview = json!({ "profile": "Flags", "preview": true });
    let plan = rest(&house, &root, Method::POST, &format!("/guests/{guest}/profile"), Some(preview)).await.json();
    let change = |key: &str| plan["changes"].as_array().unwrap().iter().find(|c| c["key"] == key).unwrap().clone();
    assert_eq!(change("cpu_type")["to"], "host,flags=+aes", "{plan:#}");
    assert!(
        change("cores")["refused"].as_str().unwrap().contains("threads"),
        "only the host's size limits it: {plan:#}"
    );
    cluster.stop().await;
}
