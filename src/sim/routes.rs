//! Every call the simulation knows: method, path, who may, what it takes, what runs. What is not in
//! this list is answered with 501, as the real API does for what it does not have.

use super::access::{calls as access, tickets};
use super::dispatch::Call;
use super::formats;
use super::http::answer::Answer;
use super::qemu::{self, keys};
use super::schema::Type::{Array, Bool, Format, Int, List, OneOf, Text};
use super::schema::{Param, Type, must, opt};
use super::{cluster, console, download, lxc, nodes, pools, resources, rrd, storage, tasklists};
use std::pin::Pin;

/// Who may make a call, as far as that is known before the handler looks.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// Also without a login.
    World,
    /// Anybody who is logged in; the handler filters or checks more.
    Any,
    /// All of these privileges on the path.
    All(&'static str, &'static [&'static str]),
    /// One of these privileges on the path.
    OneOf(&'static str, &'static [&'static str]),
}

pub type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

#[derive(Clone, Copy)]
pub enum Run {
    Now(fn(&Call) -> Answer),
    /// May wait.
    Wait(fn(Call) -> Later),
}

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub need: Need,
    pub schema: &'static [&'static [Param]],
    pub run: Run,
}

const fn get(path: &'static str, need: Need, schema: &'static [&'static [Param]], run: Run) -> Route {
    Route { method: "GET", path, need, schema, run }
}

const fn post(path: &'static str, need: Need, schema: &'static [&'static [Param]], run: Run) -> Route {
    Route { method: "POST", path, need, schema, run }
}

const fn put(path: &'static str, need: Need, schema: &'static [&'static [Param]], run: Run) -> Route {
    Route { method: "PUT", path, need, schema, run }
}

const fn delete(path: &'static str, need: Need, schema: &'static [&'static [Param]], run: Run) -> Route {
    Route { method: "DELETE", path, need, schema, run }
}

use Need::{All, Any, World};
use Run::{Now, Wait};

const NONE: &[&[Param]] = &[];
const NODE_NAME: Type = Format(formats::node);
const STORAGE: Type = Format(formats::storage);
const VMID: Type = Format(formats::vmid);
const ANY: Type = Text(0, 4096);
const DIGEST: Param = opt("digest", Text(0, 64));
const SKIPLOCK: Param = opt("skiplock", Bool);
const SECONDS: Type = Int(0, i64::MAX);
const FRAME: &[Param] = &[
    must("timeframe", OneOf(&["hour", "day", "week", "month", "year", "decade"])),
    opt("cf", OneOf(&["AVERAGE", "MAX"])),
];
const CHANGE: &[Param] = &[
    opt("delete", List(formats::config_id)),
    opt("revert", List(formats::config_id)),
    opt("force", Bool),
    DIGEST,
    SKIPLOCK,
];
const NEW: &[Param] = &[
    must("vmid", VMID),
    opt("pool", ANY),
    opt("start", Bool),
    opt("storage", STORAGE),
    opt("unique", Bool),
    opt("force", Bool),
    opt("ha-managed", Bool),
    opt("bwlimit", Int(0, i64::MAX)),
];
const CLONE: &[Param] = &[
    must("newid", VMID),
    opt("name", Format(formats::dns_name)),
    opt("description", Text(0, 8192)),
    opt("pool", ANY),
    opt("snapname", Format(formats::config_id)),
    opt("storage", STORAGE),
    opt("format", OneOf(&["raw", "qcow2", "vmdk"])),
    opt("full", Bool),
    opt("target", NODE_NAME),
    opt("bwlimit", Int(0, i64::MAX)),
];
const CT_CLONE: &[Param] = &[
    must("newid", VMID),
    opt("hostname", Format(formats::dns_name)),
    opt("description", Text(0, 8192)),
    opt("pool", ANY),
    opt("snapname", Format(formats::config_id)),
    opt("storage", STORAGE),
    opt("full", Bool),
    opt("target", NODE_NAME),
    opt("bwlimit", Int(0, i64::MAX)),
];
const TASKS: &[Param] = &[
    opt("start", SECONDS),
    opt("limit", SECONDS),
    opt("since", SECONDS),
    opt("until", SECONDS),
    opt("vmid", VMID),
    opt("typefilter", ANY),
    opt("userfilter", ANY),
    opt("statusfilter", ANY),
    opt("errors", Bool),
    opt("source", OneOf(&["archive", "active", "all"])),
];
const POOL: &[Param] = &[
    opt("vms", List(formats::vmid)),
    opt("storage", List(formats::storage)),
    opt("delete", Bool),
    opt("allow-move", Bool),
    opt("comment", ANY),
];
const MIGRATE: &[Param] = &[
    must("target", NODE_NAME),
    opt("online", Bool),
    opt("force", Bool),
    opt("with-local-disks", Bool),
    opt("targetstorage", ANY),
    opt("bwlimit", SECONDS),
    opt("migration_network", ANY),
    opt("migration_type", OneOf(&["secure", "insecure"])),
    opt("with-conntrack-state", Bool),
];
const GUEST_AUDIT: Need = All("/vms/{vmid}", &["VM.Audit"]);
const GUEST_POWER: Need = All("/vms/{vmid}", &["VM.PowerMgmt"]);
const GUEST_ALLOCATE: Need = All("/vms/{vmid}", &["VM.Allocate"]);
const GUEST_CONSOLE: Need = All("/vms/{vmid}", &["VM.Console"]);
const WEBSOCKET: &[Param] = &[must("port", Int(5900, 5999)), must("vncticket", Text(0, 512))];
const NODE_AUDIT: Need = All("/nodes/{node}", &["Sys.Audit"]);
const STORAGE_SEE: Need = Need::OneOf("/storage/{storage}", storage::SEE);
const STORAGE_FILES: Need = All("/storage/{storage}", &["Datastore.AllocateTemplate"]);
const FILE: &[Param] = &[
    must("content", OneOf(&["iso", "vztmpl", "import"])),
    opt("checksum", ANY),
    opt("checksum-algorithm", OneOf(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])),
];
const USERS: Need = All("/access/users", &["User.Modify"]);
const CONFIG_ANY: Need = Need::OneOf(
    "/vms/{vmid}",
    &[
        "VM.Config.Disk",
        "VM.Config.CDROM",
        "VM.Config.CPU",
        "VM.Config.Memory",
        "VM.Config.Network",
        "VM.Config.HWType",
        "VM.Config.Options",
        "VM.Config.Cloudinit",
    ],
);

fn snapshot_name(text: &str) -> Result<(), String> {
    formats::config_id(text)?;
    if text.len() <= 40 { Ok(()) } else { Err("value may only be 40 characters long".to_owned()) }
}

macro_rules! later {
    ($handler:path) => {
        Wait(|call| Box::pin($handler(call)))
    };
}

#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    // Access
    get("/version", Any, NONE, Now(cluster::version)),
    post("/access/ticket", World, &[&[must("username", Text(1, 64)), must("password", Text(1, 4096)), opt("realm", ANY), opt("otp", ANY), opt("tfa-challenge", ANY), opt("new-format", Bool)]], Now(tickets::login)),
    get("/access/permissions", Any, &[&[opt("path", ANY), opt("userid", ANY)]], Now(cluster::my_permissions)),
    get("/access/roles", Any, NONE, Now(access::roles)),
    post("/access/roles", All("/access", &["Sys.Modify"]), &[&[must("roleid", Text(1, 64)), opt("privs", ANY)]], Now(access::role_add)),
    get("/access/roles/{roleid}", Any, NONE, Now(access::role)),
    put("/access/roles/{roleid}", All("/access", &["Sys.Modify"]), &[&[opt("privs", ANY), opt("append", Bool)]], Now(access::role_change)),
    delete("/access/roles/{roleid}", All("/access", &["Sys.Modify"]), NONE, Now(access::role_remove)),
    get("/access/users", Any, &[&[opt("enabled", Bool), opt("full", Bool)]], Now(access::users)),
    post("/access/users", USERS, &[&[must("userid", Format(formats::user_id)), opt("password", Text(8, 64)), opt("comment", ANY), opt("enable", Bool), opt("expire", SECONDS), opt("email", ANY), opt("firstname", ANY), opt("lastname", ANY), opt("groups", ANY), opt("keys", ANY)]], Now(access::user_add)),
    get("/access/users/{userid}", Any, NONE, Now(access::user)),
    delete("/access/users/{userid}", USERS, NONE, Now(access::user_remove)),
    get("/access/users/{userid}/token", Any, NONE, Now(access::tokens)),
    get("/access/users/{userid}/token/{tokenid}", Any, NONE, Now(access::token)),
    post("/access/users/{userid}/token/{tokenid}", Any, &[&[opt("privsep", Bool), opt("expire", SECONDS), opt("comment", ANY)]], Now(access::token_add)),
    put("/access/users/{userid}/token/{tokenid}", Any, &[&[opt("privsep", Bool), opt("expire", SECONDS), opt("comment", ANY), opt("regenerate", Bool)]], Now(access::token_change)),
    delete("/access/users/{userid}/token/{tokenid}", Any, NONE, Now(access::token_remove)),
    get("/access/acl", Any, NONE, Now(access::acls)),
    put("/access/acl", Any, &[&[must("path", ANY), must("roles", List(formats::any)), opt("users", List(formats::any)), opt("groups", List(formats::any)), opt("tokens", List(formats::any)), opt("propagate", Bool), opt("delete", Bool)]], Now(access::acl_change)),

    // The cluster
    get("/cluster/resources", Any, &[&[opt("type", OneOf(&["vm", "storage", "node", "sdn"]))]], Now(resources::list)),
    get("/cluster/nextid", Any, &[&[opt("vmid", VMID)]], Now(cluster::next_id)),
    get("/cluster/status", All("/", &["Sys.Audit"]), NONE, Now(cluster::status)),
    get("/cluster/tasks", Any, NONE, Now(tasklists::of_cluster)),

    // Pools: the newer form names the pool in a parameter, the older one in the path
    get("/pools", Any, &[&[opt("poolid", ANY), opt("type", ANY)]], Now(pools::list)),
    post("/pools", Any, &[&[must("poolid", Text(1, 64)), opt("comment", ANY)]], Now(pools::add)),
    put("/pools", Any, &[POOL, &[must("poolid", Text(1, 64))]], Now(pools::change)),
    delete("/pools", Any, &[&[must("poolid", Text(1, 64))]], Now(pools::remove)),
    get("/pools/{poolid}", All("/pool/{poolid}", &["Pool.Audit"]), NONE, Now(pools::get)),
    put("/pools/{poolid}", Any, &[POOL], Now(pools::change)),
    delete("/pools/{poolid}", Any, NONE, Now(pools::remove)),

    // Nodes
    get("/nodes", Any, NONE, Now(nodes::list)),
    get("/nodes/{node}/certificates/info", Any, NONE, Now(nodes::certificates)),
    get("/nodes/{node}/status", NODE_AUDIT, NONE, Now(nodes::status)),
    get("/nodes/{node}/network", Any, &[&[opt("type", OneOf(&["bridge", "bond", "eth", "alias", "vlan", "fabric", "OVSBridge", "OVSBond", "OVSPort", "OVSIntPort", "vnet", "any_bridge", "any_local_bridge", "include_sdn"]))]], Now(nodes::network)),
    get("/nodes/{node}/rrddata", NODE_AUDIT, &[FRAME], Now(rrd::node)),
    get("/nodes/{node}/tasks", Any, &[TASKS], Now(tasklists::of_node)),
    get("/nodes/{node}/tasks/{upid}/status", Any, NONE, Now(tasklists::status)),
    get("/nodes/{node}/tasks/{upid}/log", Any, &[&[opt("start", SECONDS), opt("limit", SECONDS), opt("download", Bool)]], Now(tasklists::log)),
    delete("/nodes/{node}/tasks/{upid}", Any, NONE, Now(tasklists::stop)),

    // Storage
    get("/storage", Any, &[&[opt("type", ANY)]], Now(storage::definitions)),
    get("/nodes/{node}/storage", Any, &[&[opt("content", List(formats::any)), opt("storage", STORAGE), opt("enabled", Bool), opt("format", Bool), opt("target", NODE_NAME)]], Now(storage::list)),
    get("/nodes/{node}/storage/{storage}/status", STORAGE_SEE, NONE, Now(storage::status)),
    get("/nodes/{node}/storage/{storage}/content", STORAGE_SEE, &[&[opt("content", ANY), opt("vmid", VMID)]], Now(storage::content)),
    post("/nodes/{node}/storage/{storage}/download-url", STORAGE_FILES, &[&[must("url", ANY), must("filename", Text(1, 255)), opt("verify-certificates", Bool), opt("compression", ANY)], FILE], Now(download::download)),
    post("/nodes/{node}/storage/{storage}/upload", STORAGE_FILES, &[FILE], Now(download::upload)),
    delete("/nodes/{node}/storage/{storage}/content/{volid*}", Any, &[&[opt("delay", Int(1, 30))]], Now(storage::remove)),

    // Virtual machines
    get("/nodes/{node}/qemu", Any, &[&[opt("full", Bool)]], Now(qemu::status::list)),
    post("/nodes/{node}/qemu", Any, &[NEW, keys::CONFIG], Now(qemu::create::create)),
    delete("/nodes/{node}/qemu/{vmid}", GUEST_ALLOCATE, &[&[opt("purge", Bool), opt("destroy-unreferenced-disks", Bool), SKIPLOCK]], Now(qemu::remove::remove)),
    get("/nodes/{node}/qemu/{vmid}/config", GUEST_AUDIT, &[&[opt("current", Bool), opt("snapshot", Format(formats::config_id))]], Now(qemu::config::get)),
    put("/nodes/{node}/qemu/{vmid}/config", CONFIG_ANY, &[CHANGE, keys::CONFIG], later!(qemu::config::put)),
    post("/nodes/{node}/qemu/{vmid}/config", CONFIG_ANY, &[CHANGE, &[opt("background_delay", Int(1, 30))], keys::CONFIG], later!(qemu::config::post)),
    get("/nodes/{node}/qemu/{vmid}/pending", GUEST_AUDIT, NONE, Now(qemu::config::pending)),
    get("/nodes/{node}/qemu/{vmid}/status/current", GUEST_AUDIT, NONE, Now(qemu::status::current)),
    post("/nodes/{node}/qemu/{vmid}/status/start", GUEST_POWER, &[&[SKIPLOCK, opt("timeout", SECONDS), opt("machine", ANY), opt("force-cpu", ANY), opt("stateuri", ANY), opt("targetstorage", ANY)]], Now(qemu::power::start)),
    post("/nodes/{node}/qemu/{vmid}/status/stop", GUEST_POWER, &[&[SKIPLOCK, opt("timeout", SECONDS), opt("overrule-shutdown", Bool), opt("keepActive", Bool)]], Now(qemu::power::stop)),
    post("/nodes/{node}/qemu/{vmid}/status/shutdown", GUEST_POWER, &[&[SKIPLOCK, opt("timeout", SECONDS), opt("forceStop", Bool), opt("keepActive", Bool)]], Now(qemu::power::shutdown)),
    post("/nodes/{node}/qemu/{vmid}/status/reboot", GUEST_POWER, &[&[opt("timeout", SECONDS)]], Now(qemu::power::reboot)),
    post("/nodes/{node}/qemu/{vmid}/status/reset", GUEST_POWER, &[&[SKIPLOCK]], Now(qemu::power::reset)),
    post("/nodes/{node}/qemu/{vmid}/status/suspend", GUEST_POWER, &[&[SKIPLOCK, opt("todisk", Bool), opt("statestorage", STORAGE)]], Now(qemu::power::suspend)),
    post("/nodes/{node}/qemu/{vmid}/status/resume", GUEST_POWER, &[&[SKIPLOCK, opt("nocheck", Bool)]], Now(qemu::power::resume)),
    post("/nodes/{node}/qemu/{vmid}/clone", All("/vms/{vmid}", &["VM.Clone"]), &[CLONE], later!(qemu::clone::clone)),
    post("/nodes/{node}/qemu/{vmid}/template", GUEST_ALLOCATE, &[&[opt("disk", ANY)]], Now(qemu::template::convert)),
    put("/nodes/{node}/qemu/{vmid}/resize", All("/vms/{vmid}", &["VM.Config.Disk"]), &[&[must("disk", Format(formats::config_id)), must("size", Format(formats::resize)), DIGEST, SKIPLOCK]], Now(qemu::resize::resize)),
    post("/nodes/{node}/qemu/{vmid}/move_disk", All("/vms/{vmid}", &["VM.Config.Disk"]), &[&[must("disk", Format(formats::config_id)), must("storage", STORAGE), opt("format", OneOf(&["raw", "qcow2", "vmdk"])), opt("delete", Bool), opt("bwlimit", SECONDS), DIGEST]], Now(qemu::resize::move_disk)),
    get("/nodes/{node}/qemu/{vmid}/snapshot", GUEST_AUDIT, NONE, Now(qemu::snapshots::list::<false>)),
    post("/nodes/{node}/qemu/{vmid}/snapshot", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[must("snapname", Format(snapshot_name)), opt("vmstate", Bool), opt("description", ANY)]], Now(qemu::snapshots::make::<false>)),
    delete("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[opt("force", Bool)]], Now(qemu::snapshots::remove::<false>)),
    get("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", Need::OneOf("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"]), NONE, Now(qemu::snapshots::get_config::<false>)),
    put("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/config", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[opt("description", Text(0, 8192))]], Now(qemu::snapshots::set_config::<false>)),
    post("/nodes/{node}/qemu/{vmid}/snapshot/{snapname}/rollback", Need::OneOf("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]), &[&[opt("start", Bool)]], Now(qemu::snapshots::rollback::<false>)),
    get("/nodes/{node}/qemu/{vmid}/feature", GUEST_AUDIT, &[&[must("feature", OneOf(&["snapshot", "clone", "copy"])), opt("snapname", Format(formats::config_id))]], Now(qemu::snapshots::feature::<false>)),
    get("/nodes/{node}/qemu/{vmid}/migrate", All("/vms/{vmid}", &["VM.Migrate"]), &[&[opt("target", NODE_NAME)]], Now(qemu::migrate::check)),
    post("/nodes/{node}/qemu/{vmid}/migrate", All("/vms/{vmid}", &["VM.Migrate"]), &[MIGRATE], Now(qemu::migrate::migrate)),
    put("/nodes/{node}/qemu/{vmid}/unlink", All("/vms/{vmid}", &["VM.Config.Disk"]), &[&[must("idlist", List(formats::config_id)), opt("force", Bool)]], later!(qemu::config::unlink)),
    get("/nodes/{node}/qemu/{vmid}/cloudinit", GUEST_AUDIT, NONE, Now(qemu::cloudinit::differences)),
    put("/nodes/{node}/qemu/{vmid}/cloudinit", All("/vms/{vmid}", &["VM.Config.Cloudinit"]), NONE, later!(qemu::cloudinit::regenerate)),
    get("/nodes/{node}/qemu/{vmid}/cloudinit/dump", GUEST_AUDIT, &[&[must("type", OneOf(&["user", "network", "meta"]))]], Now(qemu::cloudinit::dump)),
    get("/nodes/{node}/qemu/{vmid}/rrddata", GUEST_AUDIT, &[FRAME], Now(rrd::qemu)),
    post("/nodes/{node}/qemu/{vmid}/agent/exec", All("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]), &[&[must("command", Array), opt("input-data", Text(0, 65_536))]], later!(qemu::agent::exec)),
    get("/nodes/{node}/qemu/{vmid}/agent/exec-status", All("/vms/{vmid}", &["VM.GuestAgent.Unrestricted"]), &[&[must("pid", Int(1, i64::MAX))]], later!(qemu::agent::exec_status)),
    post("/nodes/{node}/qemu/{vmid}/agent/file-write", Need::OneOf("/vms/{vmid}", &["VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted"]), &[&[must("file", Text(1, 4096)), must("content", Text(0, 61_440)), opt("encode", Bool)]], later!(qemu::agent::file_write)),
    get("/nodes/{node}/qemu/{vmid}/agent/{command}", All("/vms/{vmid}", &["VM.GuestAgent.Audit"]), NONE, later!(qemu::agent::query)),
    post("/nodes/{node}/qemu/{vmid}/agent/{command}", All("/vms/{vmid}", &["VM.GuestAgent.Audit"]), NONE, later!(qemu::agent::command)),
    put("/nodes/{node}/qemu/{vmid}/sendkey", All("/vms/{vmid}", &["VM.Console"]), &[&[must("key", Text(1, 64)), SKIPLOCK]], Now(qemu::windows::send_key)),
    post("/nodes/{node}/qemu/{vmid}/vncproxy", GUEST_CONSOLE, &[&[opt("websocket", Bool), opt("generate-password", Bool)]], Now(console::screen)),
    post("/nodes/{node}/qemu/{vmid}/termproxy", GUEST_CONSOLE, &[&[opt("serial", OneOf(&["serial0", "serial1", "serial2", "serial3"]))]], Now(console::terminal)),
    get("/nodes/{node}/qemu/{vmid}/vncwebsocket", GUEST_CONSOLE, &[WEBSOCKET], Now(console::connect)),

    // Containers
    get("/nodes/{node}/lxc", Any, NONE, Now(lxc::list)),
    delete("/nodes/{node}/lxc/{vmid}", GUEST_ALLOCATE, &[&[opt("purge", Bool), opt("force", Bool), opt("destroy-unreferenced-disks", Bool)]], Now(lxc::destroy)),
    get("/nodes/{node}/lxc/{vmid}/config", GUEST_AUDIT, &[&[opt("current", Bool)]], Now(lxc::config)),
    put("/nodes/{node}/lxc/{vmid}/config", CONFIG_ANY, &[CHANGE, lxc::change::CONFIG], later!(lxc::change::put)),
    get("/nodes/{node}/lxc/{vmid}/pending", GUEST_AUDIT, NONE, Now(lxc::change::pending)),
    put("/nodes/{node}/lxc/{vmid}/resize", All("/vms/{vmid}", &["VM.Config.Disk"]), &[&[must("disk", Format(formats::config_id)), must("size", Format(formats::resize)), DIGEST]], Now(lxc::change::resize)),
    post("/nodes/{node}/lxc/{vmid}/move_volume", All("/vms/{vmid}", &["VM.Config.Disk"]), &[&[must("volume", Format(formats::config_id)), must("storage", STORAGE), opt("delete", Bool), opt("bwlimit", SECONDS), DIGEST]], Now(lxc::change::move_volume)),
    post("/nodes/{node}/lxc/{vmid}/clone", All("/vms/{vmid}", &["VM.Clone"]), &[CT_CLONE], Now(lxc::copy::clone)),
    post("/nodes/{node}/lxc/{vmid}/template", GUEST_ALLOCATE, NONE, Now(lxc::copy::template)),
    post("/nodes/{node}/lxc/{vmid}/migrate", All("/vms/{vmid}", &["VM.Migrate"]), &[&[must("target", NODE_NAME), opt("online", Bool), opt("restart", Bool), opt("timeout", SECONDS), opt("target-storage", ANY), opt("bwlimit", SECONDS)]], Now(lxc::copy::migrate)),
    get("/nodes/{node}/lxc/{vmid}/interfaces", GUEST_AUDIT, NONE, Now(lxc::interfaces)),
    get("/nodes/{node}/lxc/{vmid}/rrddata", GUEST_AUDIT, &[FRAME], Now(rrd::lxc)),
    get("/nodes/{node}/lxc/{vmid}/status/current", GUEST_AUDIT, NONE, Now(lxc::current)),
    post("/nodes/{node}/lxc/{vmid}/termproxy", GUEST_CONSOLE, NONE, Now(console::lxc_terminal)),
    get("/nodes/{node}/lxc/{vmid}/vncwebsocket", GUEST_CONSOLE, &[WEBSOCKET], Now(console::connect)),
    post("/nodes/{node}/lxc/{vmid}/status/start", GUEST_POWER, &[&[SKIPLOCK, opt("debug", Bool)]], Now(lxc::start)),
    post("/nodes/{node}/lxc/{vmid}/status/stop", GUEST_POWER, &[&[SKIPLOCK, opt("overrule-shutdown", Bool)]], Now(lxc::stop)),
    post("/nodes/{node}/lxc/{vmid}/status/shutdown", GUEST_POWER, &[&[opt("timeout", SECONDS), opt("forceStop", Bool)]], Now(lxc::shutdown)),
    post("/nodes/{node}/lxc/{vmid}/status/reboot", GUEST_POWER, &[&[opt("timeout", SECONDS)]], Now(lxc::reboot)),
    get("/nodes/{node}/lxc/{vmid}/snapshot", GUEST_AUDIT, NONE, Now(qemu::snapshots::list::<true>)),
    post("/nodes/{node}/lxc/{vmid}/snapshot", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[must("snapname", Format(snapshot_name)), opt("description", ANY)]], Now(qemu::snapshots::make::<true>)),
    delete("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[opt("force", Bool)]], Now(qemu::snapshots::remove::<true>)),
    get("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config", Need::OneOf("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback", "VM.Audit"]), NONE, Now(qemu::snapshots::get_config::<true>)),
    put("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/config", All("/vms/{vmid}", &["VM.Snapshot"]), &[&[opt("description", Text(0, 8192))]], Now(qemu::snapshots::set_config::<true>)),
    post("/nodes/{node}/lxc/{vmid}/snapshot/{snapname}/rollback", Need::OneOf("/vms/{vmid}", &["VM.Snapshot", "VM.Snapshot.Rollback"]), &[&[opt("start", Bool)]], Now(qemu::snapshots::rollback::<true>)),
    get("/nodes/{node}/lxc/{vmid}/feature", GUEST_AUDIT, &[&[must("feature", OneOf(&["snapshot", "clone", "copy"])), opt("snapname", Format(formats::config_id))]], Now(qemu::snapshots::feature::<true>)),
];
