//! Two clusters with nodes of the same names: a machine is made where it was meant to be, or not at all.

use crate::appliance::{cluster, connection};
use crate::house::House;
use app::Actor;
use base::Kind;
use base::ids::ConnectionId;
use model::connections::Connection;
use model::guests::{GuestRequest, GuestSource};

/// A small machine on pve1, from a template of this connection.
fn wanted(house: &House, name: &str, of: ConnectionId) -> GuestRequest {
    let all = house.app.guests().templates(&Actor::host_console());
    let template = all.iter().find(|g| g.row.connection == of && g.state.node == "pve1").expect("a template there");
    GuestRequest {
        name: name.to_owned(),
        node: "pve1".to_owned(),
        source: GuestSource::Template { vmid: template.row.vmid.unwrap(), full: true },
        bridge: Some("vmbr0".to_owned()),
        ..GuestRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_in_the_cluster_that_was_chosen() {
    let (house, first, second) = (House::new(), cluster(0.1).await, cluster(0.1).await);
    let console = Actor::host_console();
    let mut ids = Vec::new();
    for (cluster, name) in [(&first, "Attic"), (&second, "Cellar")] {
        let row = Connection { name: name.to_owned(), ..connection(cluster) };
        ids.push(row.id);
        house.app.connections().add_known(&console, row).await.unwrap();
    }
    house.app.inventory().look().await;
    let guests = house.app.guests();

    // Not said: nothing is guessed.
    let e = guests.request_create(&console, wanted(&house, "lark", ids[1]), None).await.unwrap_err();
    assert_eq!(e.kind(), Kind::Invalid);
    assert!(e.fields()["connection"].contains("Attic, Cellar"), "{e:?}");
    let stranger = GuestRequest { connection: Some("Barn".into()), ..wanted(&house, "lark", ids[1]) };
    assert!(guests.request_create(&console, stranger, None).await.unwrap_err().fields().contains_key("connection"));

    // By its id or its name.
    for (name, meant, id) in [("lark", ids[1].to_string(), ids[1]), ("wren", "Attic".to_owned(), ids[0])] {
        let request = GuestRequest { connection: Some(meant), ..wanted(&house, name, id) };
        let (guest, job) = guests.request_create(&console, request, None).await.unwrap();
        assert_eq!((guest.connection, job.connection), (id, Some(id)), "{name}");
    }

    // The wizard carries the choice to the end.
    let mut admin = house.admin().await;
    let request = wanted(&house, "finch", ids[1]);
    let GuestSource::Template { vmid, .. } = request.source else { panic!() };
    let form = format!(
        "step=review&go=create&name=finch&connection={}&from=template&template={vmid}&node=pve1&cores=1&memory=512&disk=64\
         &bridge=vmbr0&mode=dhcp&start=off",
        ids[1]
    );
    let made = admin.send("/machines/new", "/machines/new", &form).await;
    assert_eq!(made.status, http::StatusCode::SEE_OTHER, "{}", made.body);
    let finch = guests.list(&console, "name:finch");
    assert_eq!(finch.iter().map(|g| g.row.connection).collect::<Vec<_>>(), [ids[1]]);
    first.stop().await;
    second.stop().await;
}
