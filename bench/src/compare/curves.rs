//! What a call costs while one thing grows: servers, tools, keys, connections.
//!
//! For each size a gateway of its own is started, all stay, and each round asks all of them, the
//! idle ones doing nothing: so the sizes of one curve are measured in the same minutes.

use anyhow::{Context, Result};

use super::Scene;
use super::contender::{Nginx, Server, Setup, Stub, Tollbridge, settle};
use super::rounds::{CONNECTIONS, KEYS};
use super::row::Row;
use crate::load::request::Shape;
use crate::measurement::{Axis, Scenario};
use crate::outcome::{NGINX, Outcome, TOLLBRIDGE};

/// All that was started for the curves; it ends with this.
#[derive(Default)]
struct Stage {
    stubs: Vec<Stub>,
    gateways: Vec<Tollbridge>,
    nginx: Vec<Nginx>,
    rows: Vec<Row>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.gateways.iter().for_each(|gateway| gateway.child.dismiss());
    }
}

impl Scene<'_> {
    pub async fn curves(&self, outcome: &mut Outcome) -> Result<()> {
        let mut stage = Stage::default();
        let stub = Stub::start(self.place, "curves-stub", None, &[]).await?;
        let address = stub.address.clone();
        stage.stubs.push(stub);
        self.grow_connections(&mut stage, &address).await?;
        for count in &self.plan.curves.keys {
            let setup = Setup { keys: *count, opens: None, servers: vec![Server::modern("stub", &address)] };
            self.grow(&mut stage, Axis::Keys, *count, &setup, "stub__echo").await?;
        }
        for count in &self.plan.curves.servers {
            let servers = (0..*count).map(|number| Server::modern(&format!("s{number}"), &address)).collect();
            let setup = Setup { keys: KEYS, opens: None, servers };
            // One in the middle, so that it is found neither first nor last.
            self.grow(&mut stage, Axis::Servers, *count, &setup, &format!("s{}__echo", count / 2)).await?;
        }
        for count in &self.plan.curves.tools {
            let name = format!("stub-of-{count}-tools");
            let stub = Stub::start(self.place, &name, None, &["--tools", &count.to_string()]).await?;
            let setup = Setup { keys: KEYS, opens: None, servers: vec![Server::modern("stub", &stub.address)] };
            stage.stubs.push(stub);
            self.grow(&mut stage, Axis::Tools, *count, &setup, "stub__echo").await?;
        }
        for round in 1..=self.plan.curves.rounds {
            self.round(&stage.rows, round, outcome).await?;
        }
        Ok(())
    }

    /// One more point of a curve: a gateway of that size, of which `tool` is called.
    async fn grow(&self, stage: &mut Stage, axis: Axis, size: u64, setup: &Setup, tool: &str) -> Result<()> {
        let program = self.plan.tollbridge.as_ref().context("it takes part")?;
        eprintln!("starting a gateway for {axis:?}: {size}");
        let name = format!("curve-{axis:?}-{size}");
        let gateway = Tollbridge::start(self.place, &name, program, setup).await?;
        let template = gateway.door.template("/mcp", Shape::Modern, tool);
        settle(&template).await?;
        let row = Row::new(Scenario::Curve(axis), TOLLBRIDGE, &gateway.door, template, self.plan.connections);
        stage.rows.push(row.at(size));
        stage.gateways.push(gateway);
        Ok(())
    }

    /// Connections grow before one gateway, and before nginx, because the kernel's share grows for both. They do
    /// in two ways: at the same rate, so that there is the same to do for any number of them; and with a call
    /// under way on each, so that there is more to do at a time.
    async fn grow_connections(&self, stage: &mut Stage, stub: &str) -> Result<()> {
        let nginx = Nginx::start(self.place, "curve-nginx", stub, CONNECTIONS).await?;
        let setup = Setup { keys: KEYS, opens: None, servers: vec![Server::modern("stub", stub)] };
        let program = self.plan.tollbridge.as_ref().context("it takes part")?;
        let gateway = Tollbridge::start(self.place, "curve-connections", program, &setup).await?;
        let ours = gateway.door.template("/mcp", Shape::Modern, "stub__echo");
        settle(&ours).await?;
        let theirs = nginx.door.template("/mcp", Shape::Modern, "echo");
        let rows = |axis, size| -> Result<[Row; 2]> {
            let (scenario, connections) = (Scenario::Curve(axis), u32::try_from(size)?);
            let nginx = Row::new(scenario, NGINX, &nginx.door, theirs.clone(), connections);
            let ours = Row::new(scenario, TOLLBRIDGE, &gateway.door, ours.clone(), connections);
            Ok([nginx, ours].map(|row| row.at(size).against(NGINX)))
        };
        let curves = &self.plan.curves;
        for size in &curves.connections {
            stage.rows.extend(rows(Axis::Connections, *size)?.map(|row| row.per_second(curves.rate)));
        }
        for size in &curves.under_way {
            stage.rows.extend(rows(Axis::UnderWay, *size)?);
        }
        stage.nginx.push(nginx);
        stage.gateways.push(gateway);
        Ok(())
    }
}
