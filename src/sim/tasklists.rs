//! Calls about tasks: lists, status, log, interrupt. Seen by their owner or with Sys.Audit on the node.

use super::access::permissions::has;
use super::access::who::Who;
use super::dispatch::Call;
use super::error::ApiError;
use super::http::answer::{Answer, Reply};
use super::state::{Cluster, Task};
use super::tasks;
use serde_json::{Value, json};

/// Takes a UPID apart: `UPID:node:pid:pstart:starttime:type:id:user:`.
pub fn parse(upid: &str) -> Result<Vec<&str>, String> {
    let parts: Vec<&str> = upid.split(':').collect();
    let hex = |i: usize, min: usize| {
        parts.get(i).is_some_and(|p| p.len() >= min && p.len() <= 9 && p.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let good = parts.len() == 9 && parts[0] == "UPID" && parts[8].is_empty() && hex(2, 8) && hex(3, 8) && hex(4, 8);
    if good { Ok(parts) } else { Err("unable to parse worker upid".to_owned()) }
}

fn own(who: &Who, task: &Task) -> bool {
    // A token sees its user's tasks only when it started them itself; the user sees those of all its tokens.
    task.user == who.user && (who.token.is_none() || task.tokenid == who.token)
}

fn item(task: &Task) -> Value {
    let mut out = json!({
        "upid": task.upid, "node": task.node, "pid": task.pid, "pstart": task.pstart, "starttime": task.starttime,
        "type": task.kind, "id": task.id, "user": task.user,
    });
    if let Some(token) = &task.tokenid {
        out["tokenid"] = json!(token);
    }
    if let (Some(end), Some(exit)) = (task.endtime, &task.exit) {
        out["endtime"] = json!(end);
        out["status"] = json!(exit);
    }
    out
}

/// `GET /cluster/tasks`: per node all that run and up to 25 in all.
pub fn of_cluster(call: &Call) -> Answer {
    let list = call.world.read(|c| {
        let audit = has(c, &call.who, "/", "Sys.Audit");
        let mut out = Vec::new();
        for node in c.nodes.keys() {
            let mine = || c.tasks.iter().rev().filter(|t| &t.node == node && (audit || own(&call.who, t)));
            let running: Vec<Value> = mine().filter(|t| t.exit.is_none()).map(item).collect();
            let room = 25_usize.saturating_sub(running.len());
            out.extend(running);
            out.extend(mine().filter(|t| t.exit.is_some()).take(room).map(item));
        }
        out
    });
    Ok(json!(list).into())
}

/// `GET /nodes/{node}/tasks`: newest first, with `total` beside `data`.
pub fn of_node(call: &Call) -> Answer {
    let p = &call.params;
    let source = p.get("source").unwrap_or("archive");
    let fits = |t: &Task| {
        t.node == call.node()
            && match source {
                "archive" => t.exit.is_some(),
                "active" => t.exit.is_none(),
                _ => true,
            }
            && p.get("vmid").is_none_or(|v| t.id == v)
            && p.get("typefilter").is_none_or(|k| t.kind == k)
            && p.get("userfilter").is_none_or(|u| t.user.contains(u))
            && p.int("since").is_none_or(|s| t.starttime >= s)
            && p.int("until").is_none_or(|s| t.starttime <= s)
            && (!p.flag("errors") || t.exit.as_ref().is_some_and(|e| e != "OK"))
    };
    let (list, total) = call.world.read(|c| {
        let audit = has(c, &call.who, &format!("/nodes/{}", call.node()), "Sys.Audit");
        let all: Vec<&Task> = c.tasks.iter().rev().filter(|t| fits(t) && (audit || own(&call.who, t))).collect();
        (page(&all, p.int("start"), p.int("limit")).iter().map(|t| item(t)).collect::<Vec<_>>(), all.len())
    });
    Ok(Reply::Page(json!(list), total))
}

fn page<T>(all: &[T], start: Option<i64>, limit: Option<i64>) -> &[T] {
    let start = usize::try_from(start.unwrap_or(0)).unwrap_or(0).min(all.len());
    let limit = usize::try_from(limit.unwrap_or(50)).unwrap_or(50);
    let limit = if limit == 0 { all.len() } else { limit };
    &all[start..all.len().min(start.saturating_add(limit))]
}

/// `GET /nodes/{node}/tasks/{upid}/status`.
pub fn status(call: &Call) -> Answer {
    call.world.read(|c| {
        let task = visible(c, call, "Sys.Audit")?;
        let mut out = item(task);
        if let Some(map) = out.as_object_mut() {
            map.remove("endtime");
        }
        out["status"] = json!(if task.exit.is_some() { "stopped" } else { "running" });
        if let Some(exit) = &task.exit {
            out["exitstatus"] = json!(exit);
        }
        Ok(out.into())
    })
}

/// `GET /nodes/{node}/tasks/{upid}/log`: `[{n, t}]` with `total` beside `data`.
pub fn log(call: &Call) -> Answer {
    call.world.read(|c| {
        let task = visible(c, call, "Sys.Audit")?;
        let lines: Vec<Value> = task.log.iter().enumerate().map(|(i, t)| json!({ "n": i + 1, "t": t })).collect();
        let some = if lines.is_empty() {
            vec![json!({ "n": 1, "t": "no content" })]
        } else {
            page(&lines, call.params.int("start"), call.params.int("limit")).to_vec()
        };
        Ok(Reply::Page(json!(some), lines.len()))
    })
}

/// `DELETE /nodes/{node}/tasks/{upid}`: SIGTERM.
pub fn stop(call: &Call) -> Answer {
    call.world.read(|c| visible(c, call, "Sys.Modify").map(|_| ()))?;
    tasks::interrupt(&call.world, call.arg("upid"));
    Ok(Value::Null.into())
}

fn visible<'a>(c: &'a Cluster, call: &Call, privilege: &str) -> Result<&'a Task, ApiError> {
    let task = c.tasks.iter().rev().find(|t| t.upid == call.arg("upid") && t.node == call.node());
    let task = task.ok_or_else(|| ApiError::new(400, "no such task"))?;
    let path = format!("/nodes/{}", call.node());
    if own(&call.who, task) || has(c, &call.who, &path, privilege) {
        return Ok(task);
    }
    Err(ApiError::denied(&path, &[privilege], ","))
}
