//! Users, roles, ACLs, tokens, and what a caller with few rights sees.

use super::client::{Cluster, cluster};

/// root's session as headers.
async fn root(c: &Cluster) -> String {
    let form = format!("username=root%40pam&password={}", c.sim.root_password.expose());
    let login = c.ask("POST", "/access/ticket", "", &form).await.data();
    let (ticket, csrf) = (login["ticket"].as_str().unwrap(), login["CSRFPreventionToken"].as_str().unwrap());
    format!("Cookie: PVEAuthCookie={ticket}\r\nCSRFPreventionToken: {csrf}\r\n")
}

/// A new user with a token; gives the token's header.
async fn token(c: &Cluster, root: &str, user: &str, privsep: u8) -> String {
    assert_eq!(c.ask("POST", "/access/users", root, &format!("userid={user}")).await.status, 200);
    let made =
        c.ask("POST", &format!("/access/users/{user}/token/test"), root, &format!("privsep={privsep}")).await.data();
    assert_eq!(made["full-tokenid"], format!("{user}!test"));
    format!("Authorization: PVEAPIToken={user}!test={}\r\n", made["value"].as_str().unwrap())
}

async fn allow(c: &Cluster, root: &str, path: &str, who: &str, role: &str) {
    let reply = c.ask("PUT", "/access/acl", root, &format!("path={path}&roles={role}&{who}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn a_token_without_rights_sees_node_names_and_nothing_else() {
    let c = cluster().await;
    let root = root(&c).await;
    let poor = token(&c, &root, "poor@pve", 1).await;
    assert_eq!(c.ask("GET", "/access/permissions", &poor, "").await.data(), serde_json::json!({}));
    let list = c.ask("GET", "/cluster/resources", &poor, "").await.data();
    let list = list.as_array().unwrap();
    assert!(list.iter().all(|i| i["type"] == "node" && i.get("maxmem").is_none()) && list.len() == 3, "{list:?}");
    assert_eq!(c.ask("GET", "/nodes/pve1/qemu", &poor, "").await.data(), serde_json::json!([]));
    let reply = c.ask("GET", "/cluster/status", &poor, "").await;
    assert_eq!((reply.status, reply.message().as_str()), (403, "Permission check failed (/, Sys.Audit)"));
    let reply = c.ask("POST", "/nodes/pve1/qemu/9000/clone", &poor, "newid=700").await;
    assert_eq!(reply.message(), "Permission check failed (/vms/9000, VM.Clone)");
    assert_eq!(c.ask("POST", "/nodes/pve1/qemu", &poor, "vmid=700").await.message(), "Permission check failed");
}

#[tokio::test]
async fn with_privilege_separation_user_and_token_both_need_the_right() {
    let c = cluster().await;
    let root = root(&c).await;
    let auth = token(&c, &root, "both@pve", 1).await;
    let status = |auth: String| async move { auth };
    allow(&c, &root, "/vms", "users=both%40pve", "PVEAuditor").await;
    assert_eq!(c.ask("GET", "/nodes/pve1/qemu/9000/config", &status(auth.clone()).await, "").await.status, 403);
    allow(&c, &root, "/vms", "tokens=both%40pve%21test", "PVEAuditor").await;
    assert_eq!(c.ask("GET", "/nodes/pve1/qemu/9000/config", &auth, "").await.status, 200);
    allow(&c, &root, "/vms/9000", "tokens=both%40pve%21test", "NoAccess").await;
    assert_eq!(c.ask("GET", "/nodes/pve1/qemu/9000/config", &auth, "").await.status, 403);
}

#[tokio::test]
async fn a_deeper_entry_replaces_the_broader_role_and_pools_lend_theirs() {
    let c = cluster().await;
    let root = root(&c).await;
    let auth = token(&c, &root, "deep@pve", 0).await;
    allow(&c, &root, "/", "users=deep%40pve", "Steward").await;
    c.machine(701, "").await;
    allow(&c, &root, "/vms/701", "users=deep%40pve", "PVEAuditor").await;
    let reply = c.ask("POST", "/nodes/pve1/qemu/701/status/start", &auth, "").await;
    assert_eq!(reply.message(), "Permission check failed (/vms/701, VM.PowerMgmt)");
    let other = token(&c, &root, "pool@pve", 0).await;
    assert_eq!(c.ask("POST", "/pools", &root, "poolid=mine").await.status, 200);
    assert_eq!(c.ask("PUT", "/pools", &root, "poolid=mine&vms=701").await.status, 200);
    allow(&c, &root, "/pool/mine", "users=pool%40pve", "PVEVMUser").await;
    assert_eq!(c.ask("GET", "/nodes/pve1/qemu/701/config", &other, "").await.status, 200);
    let list = c.ask("GET", "/cluster/resources?type=vm", &other, "").await.data();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["pool"], "mine");
}

#[tokio::test]
async fn a_token_is_not_its_user_and_not_root() {
    let c = cluster().await;
    let reply = c.post("/access/users/steward%40pve/token/other", "").await;
    assert_eq!((reply.status, reply.message().as_str()), (403, "Permission check failed"));
    c.machine(702, "").await;
    assert_eq!(c.put("/nodes/pve1/qemu/702/config", "args=-s").await.message(), "only root can set 'args' config");
    let reply = c.post("/nodes/pve1/qemu/702/status/start", "skiplock=1").await;
    assert_eq!(reply.error("skiplock"), "Only root may use this option.");
    let root = root(&c).await;
    let again = c.ask("PUT", "/access/users/steward%40pve/token/appliance", &root, "regenerate=1").await.data();
    assert_eq!(again["full-tokenid"], "steward@pve!appliance");
    assert_eq!(c.get("/version").await.status, 401, "the old secret is dead");
}

#[tokio::test]
async fn a_caller_sees_its_own_tasks_with_the_token_in_a_key_of_its_own() {
    let c = cluster().await;
    let made = c.post("/nodes/pve1/qemu", "vmid=703&memory=512").await;
    assert_eq!(c.exit(&made).await, "OK");
    let list = c.get("/nodes/pve1/tasks?vmid=703").await;
    assert_eq!(list.json()["total"], 1);
    let task = &list.data()[0];
    assert_eq!((task["user"].as_str(), task["tokenid"].as_str()), (Some("steward@pve"), Some("appliance")));
    assert_eq!(task["status"], "OK");
    let root = root(&c).await;
    let poor = token(&c, &root, "nosy@pve", 1).await;
    assert_eq!(c.ask("GET", "/nodes/pve1/tasks", &poor, "").await.data(), serde_json::json!([]));
    let path = format!("/nodes/pve1/tasks/{}/status", made.data().as_str().unwrap());
    assert_eq!(c.ask("GET", &path, &poor, "").await.status, 403);
    assert_eq!(c.get("/nodes/pve1/tasks/UPID:x/status").await.error("upid"), "unable to parse worker upid");
    let none = c.get("/nodes/pve1/tasks/UPID:pve1:00000001:00000001:00000001:qmstart:1:root@pam:/status").await;
    assert_eq!((none.status, none.message().as_str()), (400, "no such task"));
}

#[tokio::test]
async fn a_device_is_passed_through_by_its_mapping_and_with_the_right_to_it() {
    let c = cluster().await;
    let root = root(&c).await;
    c.machine(704, "").await;
    let set = async |value: &str| c.put("/nodes/pve1/qemu/704/config", &format!("hostpci0={value}")).await;
    let raw = "only root can set 'hostpci0' config for non-mapped devices";
    assert_eq!(set("0000%3A01%3A00.0").await.message(), raw);
    assert_eq!(set("pcie%3D1").await.message(), "either 'host' or 'mapping' must be set.");
    assert_eq!(set("mapping%3Dgpu1%2Cpcie%3D1").await.status, 200);
    allow(&c, &root, "/mapping", "users=steward%40pve", "PVEAuditor").await;
    let reply = set("mapping%3Dgpu2").await;
    assert_eq!(
        (reply.status, reply.message().as_str()),
        (403, "Permission check failed (/mapping/pci/gpu2, Mapping.Use)")
    );
}
