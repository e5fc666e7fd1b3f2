//! Secrets that come in by each door are looked for everywhere afterwards: in rows, logs, answers, pages, files, and
//! in the memory of the real process once their jobs are over.

use crate::appliance::{Appliance, cluster};
use crate::software::Sshd;
use serde_json::{Value, json};
use sim::{Reply, Sim};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Each is nowhere else in any process, and none is part of another.
const TEMPLATE: &str = "Planted-template-7Qx";
const PRODUCT_KEY: &str = "PLNTD-KEY7Q-XW4ZT-9KLMN-BVCXZ";
const MACHINE: &str = "Planted-machine-3Wz";
const RECIPE: &str = "Planted-recipe-9Kf's";
const AGENT: &str = "Planted-agent-5Rt";
const SSH: &str = "Planted-ssh-2Bv";
const CONNECTION: &str = "Planted-connection-8Hj";
/// All of them; of the recipe's what stands before its quote, which SQL doubles.
const ALL: [&str; 7] = [TEMPLATE, PRODUCT_KEY, MACHINE, "Planted-recipe-9Kf", AGENT, SSH, CONNECTION];

/// A recipe that does with its password what a careless one does too.
fn recipe(plugins: &Path) {
    let folder = plugins.join("software-probe");
    std::fs::create_dir_all(&folder).unwrap();
    let toml = r#"
name = "software-probe"
version = "1.0.0"
about = "Prints what it is given."
kind = "software"
api = 1
grants = ["ssh", "log"]
uses = ["linux"]

[software]
title = "Probe"
category = "Tests"

[[software.options]]
key = "password"
label = "Password"
kind = "password"
required = true

[hooks]
install = { params = 2, mode = "job" }
"#;
    let script = r#"fn install(job, args) {
    machine(job, 2);
    let word = args.options.password;
    let text = template::fill("a {word} b '{word:sql}'\n", #{ word: word });
    let out = job.repeatable("shown", || ssh::run("cat; cat >&2 <<x\nnothing\nx", #{ input: text }));
    job.log(out.out);
    job.repeatable("written", || { ssh::put("/tmp/steward-planted", text); ssh::run("rm /tmp/steward-planted"); () });
    if args.options.password != () {
        job.fail(`it knows ${to_debug(word)} and ${out.out}`);
    }
}
"#;
    std::fs::write(folder.join("plugin.toml"), toml).unwrap();
    std::fs::write(folder.join("main.rhai"), script).unwrap();
}

async fn started() -> (Sim, Appliance) {
    let cluster = cluster(0.005).await;
    let mut appliance = Appliance::prepare(&cluster).await;
    appliance.settings_more = vec![("STEWARD_LOG", "trace".to_owned())];
    recipe(&appliance.path("plugins"));
    appliance.start().await;
    appliance.until("/api/v1/guests?q=windows-10", 20, |l| l["total"] != 0).await;
    (cluster, appliance)
}

async fn over(appliance: &Appliance, job: &str) -> Value {
    appliance.until(&format!("/api/v1/jobs/{job}"), 90, |j| j["finished"].is_string()).await
}

/// A template of Windows: the password goes to Proxmox on a CD.
async fn build_a_template(appliance: &Appliance) {
    let wanted = json!({
        "name": "win-11", "node": "pve1", "release": "win11", "iso": "nas:iso/debian-13.1.0-amd64-netinst.iso", "drivers": "nas:iso/virtio-win-0.1.271.iso",
        "edition": 6, "language": "en-US", "keyboard": "0409:00000409", "time_zone": "UTC", "bridge": "vmbr0", "disk": 64, "cores": 2,
        "memory": 4096, "hours": 6, "password": TEMPLATE, "product_key": PRODUCT_KEY,
    });
    let asked = appliance.ask("POST", "/api/v1/templates/windows", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let done = over(appliance, asked.json()["id"].as_str().unwrap()).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
}

/// A machine of Windows: the password goes to Proxmox as a parameter.
async fn make_a_machine(appliance: &Appliance, cluster: &Sim) {
    let list = appliance.ask("GET", "/api/v1/guests?q=windows-10", None).await.json();
    let (template, node) = (list["guests"][0]["vmid"].clone(), list["guests"][0]["node"].clone());
    let wanted = json!({
        "name": "desk-7", "node": node, "source": { "from": "template", "vmid": template, "full": false },
        "cores": 2, "memory": 4096, "disk": 64, "bridge": "vmbr0", "user": "mira", "password": MACHINE,
    });
    let asked = appliance.ask("POST", "/api/v1/guests", Some(wanted)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let done = over(appliance, asked.json()["job"]["id"].as_str().unwrap()).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let vmid = u32::try_from(done["result"]["vmid"].as_u64().unwrap()).unwrap();
    assert_eq!(cluster.faults().config(vmid, "cipassword").as_deref(), Some(MACHINE), "it arrived");
}

async fn a_running_machine(appliance: &Appliance) -> (String, u32) {
    let list = appliance.until("/api/v1/guests?q=status:running%20kind:vm", 20, |l| l["total"] != 0).await;
    let vmid = u32::try_from(list["guests"][0]["vmid"].as_u64().unwrap()).unwrap();
    (format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap()), vmid)
}

/// A recipe over SSH, which fails and is discarded; and a password that signs nobody in.
async fn install_by_ssh(appliance: &Appliance, sshd: &Sshd) {
    let (guest, _) = a_running_machine(appliance).await;
    let mut access = json!({ "user": "root", "address": "127.0.0.1", "port": sshd.port, "password": SSH });
    let refused = appliance.ask("PUT", &format!("{guest}/ssh"), Some(access.clone())).await;
    assert!((400..500).contains(&refused.status) && !refused.body.contains(SSH), "{refused:?}");
    access.as_object_mut().unwrap().remove("password");
    let key = appliance.ask("PUT", &format!("{guest}/ssh"), Some(access)).await;
    sshd.allow(key.json()["public_key"].as_str().unwrap());
    let body = json!({ "recipe": "software-probe", "options": { "password": RECIPE } });
    let asked = appliance.ask("POST", &format!("{guest}/software"), Some(body)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let job = asked.json()["job"].as_str().unwrap().to_owned();
    let failed = over(appliance, &job).await;
    let log = failed["log"].to_string();
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert!(log.contains("a •••••• b '••••••'"), "what the command printed: {log}");
    assert!(failed["error"].to_string().contains("[secret options/password]"), "{failed:#}");
    let discarded = appliance.ask("POST", &format!("/api/v1/jobs/{job}/discard"), None).await;
    assert_eq!(discarded.status, 200, "{}", discarded.body);
}

/// A recipe by the guest agent.
async fn install_by_agent(appliance: &Appliance, cluster: &Sim) {
    let list = appliance.until("/api/v1/guests?q=name:desk-7%20status:running", 30, |l| l["total"] != 0).await;
    let guest = format!("/api/v1/guests/{}", list["guests"][0]["id"].as_str().unwrap());
    let vmid = u32::try_from(list["guests"][0]["vmid"].as_u64().unwrap()).unwrap();
    cluster.faults().set_config(vmid, "agent", "1");
    let named = json!({ "name": "DESK7", "next": "DESK7", "domain": "WORKGROUP", "joined": false }).to_string();
    cluster.faults().windows(vmid, Reply { part: "ConvertTo-Json -Compress".into(), out: named, ..Reply::default() });
    // The user's command prints its password.
    cluster.faults().windows(vmid, Reply { part: "New-LocalUser".into(), out: AGENT.into(), ..Reply::default() });
    let options =
        json!({ "computer_name": "DESK7", "user": "mira", "password": AGENT, "programs": [], "time_zone": "UTC" });
    let body = json!({ "recipe": "software-windows-telecom", "options": options });
    let asked = appliance.ask("POST", &format!("{guest}/software"), Some(body)).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let done = over(appliance, asked.json()["job"].as_str().unwrap()).await;
    assert_eq!(done["state"], "succeeded", "{done:#}");
    let ran = cluster.faults().ran(vmid);
    assert!(ran.iter().any(|r| r.input == AGENT), "it arrived");
}

/// For the connection a token that is not good, and a password that is not, in the browser's form.
async fn connect(appliance: &Appliance) {
    let cookie = crate::console::cookie(appliance).await;
    let all = appliance.ask("GET", "/api/v1/connections", None).await.json();
    let page = format!("/settings/connections/{}", all["connections"][0]["id"].as_str().unwrap());
    let form = format!("{page}/token");
    let page = appliance.raw("GET", &page, &[("cookie", &cookie)], "").await;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let kind = "application/x-www-form-urlencoded";
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin"), ("content-type", kind)];
    for way in [
        format!("way=token&token_id=a@pve!b&token_secret={CONNECTION}"),
        format!("way=login&user=root&password={CONNECTION}"),
    ] {
        let answer = appliance.raw("POST", &form, &headers, &format!("csrf={csrf}&{way}")).await;
        assert!(answer.starts_with("HTTP/1.1 422") && !answer.contains(CONNECTION), "{answer}");
    }
}

/// Everything that can be read of the jobs, machines and people.
async fn all_answers(appliance: &Appliance) -> String {
    let mut all = String::new();
    for path in [
        "/api/v1/jobs?limit=100",
        "/api/v1/guests",
        "/api/v1/audit?limit=500",
        "/api/v1/connections",
        "/api/v1/schedules",
    ] {
        all.push_str(&appliance.ask("GET", path, None).await.body);
    }
    let jobs = appliance.ask("GET", "/api/v1/jobs?limit=100", None).await.json();
    for job in jobs["jobs"].as_array().unwrap() {
        let id = job["id"].as_str().unwrap();
        all.push_str(&appliance.ask("GET", &format!("/api/v1/jobs/{id}"), None).await.body);
    }
    let guests = appliance.ask("GET", "/api/v1/guests", None).await.json();
    for guest in guests["guests"].as_array().unwrap() {
        let id = guest["id"].as_str().unwrap();
        for rest in ["", "/software", "/ssh"] {
            all.push_str(&appliance.ask("GET", &format!("/api/v1/guests/{id}{rest}"), None).await.body);
        }
    }
    all
}

/// Is a text anywhere in the files of a folder, as it is?
fn in_files(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return in_files(&path, text);
        }
        std::fs::read(&path).unwrap_or_default().windows(text.len()).any(|w| w == text.as_bytes())
    })
}

/// Bytes of a page.
const PAGE: u64 = 4096;

/// What of the texts is in the memory of a process, each with what stands around it. Fails when the memory can't be
/// read: a look that sees nothing proves nothing.
fn in_memory(pid: u32, texts: &[&str]) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process is there");
    let [mut memory, mut pagemap] = ["mem", "pagemap"].map(|name| {
        std::fs::File::open(format!("/proc/{pid}/{name}"))
            .expect("the memory of a child can be read; see kernel.yama.ptrace_scope and who runs this test")
    });
    let (mut found, mut bytes) = (Vec::new(), 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let name = words.nth(3).unwrap_or("(no name)");
        if !rights.starts_with('r') || ["[vvar", "[vsyscall"].iter().any(|own| name.starts_with(own)) {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        for (from, to) in runs(&mut pagemap, from, to) {
            let mut part = vec![0; usize::try_from(to - from).unwrap()];
            memory.seek(SeekFrom::Start(from)).unwrap();
            memory.read_exact(&mut part).unwrap_or_else(|e| panic!("{line} can't be read: {e}"));
            bytes += part.len();
            for (text, at) in find_all(&part, texts) {
                let around = &part[at.saturating_sub(120)..(at + text.len() + 40).min(part.len())];
                found.push(format!("{text} in {name}: {:?}", String::from_utf8_lossy(around)));
            }
        }
    }
    assert!(bytes > 10 << 20, "only {bytes} bytes were read");
    found
}

/// The pages that there are (proc(5): bit 63 of an entry says present, bit 62 swapped), those side by side together.
fn runs(pagemap: &mut std::fs::File, from: u64, to: u64) -> Vec<(u64, u64)> {
    let mut entries = vec![0; usize::try_from((to - from) / PAGE * 8).unwrap()];
    pagemap.seek(SeekFrom::Start(from / PAGE * 8)).unwrap();
    pagemap.read_exact(&mut entries).unwrap();
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (n, _) in entries.chunks_exact(8).enumerate().filter(|(_, entry)| entry[7] & 0xC0 != 0) {
        let page = from + n as u64 * PAGE;
        match all.last_mut().filter(|(_, end)| *end == page) {
            Some((_, end)) => *end += PAGE,
            None => all.push((page, page + PAGE)),
        }
    }
    all
}

/// Each text begins with the same letter.
fn find_all<'a>(part: &[u8], texts: &[&'a str]) -> Vec<(&'a str, usize)> {
    let first = texts[0].as_bytes()[0];
    let starts = part.iter().enumerate().filter(|(_, b)| **b == first).map(|(at, _)| at);
    starts.filter_map(|at| texts.iter().find(|t| part[at..].starts_with(t.as_bytes())).map(|t| (*t, at))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_secret_is_nowhere_and_after_its_job_not_in_memory_either() {
    let (cluster, mut appliance) = started().await;
    // The look itself works: this one has to be in memory.
    assert!(!in_memory(appliance.pid(), &["STEWARD_DATA_DIR"]).is_empty(), "the look sees nothing");
    let sshd = Sshd::start();
    build_a_template(&appliance).await;
    make_a_machine(&appliance, &cluster).await;
    install_by_ssh(&appliance, &sshd).await;
    install_by_agent(&appliance, &cluster).await;
    connect(&appliance).await;
    let answers = all_answers(&appliance).await;
    for text in ALL {
        assert!(!answers.contains(text), "{text} is in an answer");
    }
    // Nothing holds the last request any more.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let found = in_memory(appliance.pid(), &ALL);
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
    appliance.stop().await;
    let log = appliance.log();
    for text in ALL {
        let line = log.lines().find(|l| l.contains(text));
        assert!(line.is_none(), "{text} is in the log: {line:?}");
        assert!(!in_files(&appliance.path("data"), text), "{text} is in the store");
    }
    cluster.stop().await;
}
