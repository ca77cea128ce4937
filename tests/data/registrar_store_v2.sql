PRAGMA page_size = 8192;
CREATE TABLE batches (
    batch INTEGER PRIMARY KEY,
    first_row INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_note INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    committed_ns INTEGER NOT NULL,
    rules TEXT NOT NULL,
    version TEXT NOT NULL,
    root TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO "batches" VALUES(1,1,3,1,0,1795781209777858190,'7f2c43106364d8112fcc3060e4ab8b20f5d1a17d9cbf3c2540529663004adff8','2','e86392a5b5560543a900bb8d9550841fa3ea2719f562c082f5f6b9870a836e5c','0000000000000000000000000000000000000000000000000000000000000000','24b789f74db8627c61ca03e08a8c37aadf8c4838e3931d1b9b00276a4753991f');
INSERT INTO "batches" VALUES(2,4,3,1,1,1795781209780836641,'7f2c43106364d8112fcc3060e4ab8b20f5d1a17d9cbf3c2540529663004adff8','2','26664fdb4fb4fc9baeca162026172bed09b479ce4de28aef42dc99c42b69213c','24b789f74db8627c61ca03e08a8c37aadf8c4838e3931d1b9b00276a4753991f','74a99ba4d82675dcb4d0563abd1a518919c67bc55b3842eef001791e170a6f69');
INSERT INTO "batches" VALUES(3,7,3,2,0,1795781209783768128,'7f2c43106364d8112fcc3060e4ab8b20f5d1a17d9cbf3c2540529663004adff8','2','7f26bcf0d4be75c80c7a140d9c6a680ceb5dab25bd0167f6be739140ef6f061e','74a99ba4d82675dcb4d0563abd1a518919c67bc55b3842eef001791e170a6f69','76b1d8a2d384fba051b08d4b277d84f697d61ca45c6259e91a1aa64240783756');
CREATE TABLE checkpoints (
    checkpoint INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    statement TEXT NOT NULL,
    signature BLOB NOT NULL
) STRICT;
INSERT INTO "checkpoints" VALUES(1,1,'{"store":"8e5548b39b6c4ed29ae294ae5b598715","key":"2f239752a7cc36a1222431b9d839097f6abefa68248329f8e05a167ff08bad43","signed_ns":1795781209778519348,"batch":1,"rows":3,"notes":0,"hash":"24b789f74db8627c61ca03e08a8c37aadf8c4838e3931d1b9b00276a4753991f","kind":"checkpoint","number":1,"segment":1,"previous":"0000000000000000000000000000000000000000000000000000000000000000"}',X'41AE54394235C6DECA3303BC2A93BD4B4B7782D4F6F219F5091A6234F3FB5F475FB500784D3ED9E4BE25A6D22C2C2FB27D299AD5A162127E43F821D136C75D0C');
INSERT INTO "checkpoints" VALUES(2,3,'{"store":"8e5548b39b6c4ed29ae294ae5b598715","key":"2f239752a7cc36a1222431b9d839097f6abefa68248329f8e05a167ff08bad43","signed_ns":1795781209786908866,"batch":3,"rows":9,"notes":1,"hash":"76b1d8a2d384fba051b08d4b277d84f697d61ca45c6259e91a1aa64240783756","kind":"checkpoint","number":2,"segment":1,"previous":"ddd75dcab5f36a4287516b226a9ce0e03d20b01fe0e5abebba9cf457c3ea0f4e"}',X'ECF4F644D0EC1DAC0EFC53951C7D270CDB7E084E5C5844837FB1936201F0A5185D661909220B233F30FB299F2BE6EA9F0610D206B4405A912A9123AC19ECD10A');
CREATE TABLE codes (
    code INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, meaning TEXT NOT NULL
) STRICT;
INSERT INTO "codes" VALUES(100,'BOOT_START','boot','a bot began to boot');
INSERT INTO "codes" VALUES(101,'BOOT_OK','boot','a bot finished booting');
INSERT INTO "codes" VALUES(102,'BOOT_FAILED','boot','a bot could not boot');
INSERT INTO "codes" VALUES(110,'INIT_START','boot','a component began to initialise');
INSERT INTO "codes" VALUES(111,'INIT_OK','boot','a component is initialised');
INSERT INTO "codes" VALUES(112,'INIT_FAILED','boot','a component could not be initialised');
INSERT INTO "codes" VALUES(120,'MODE_CHANGED','boot','a bot changed its mode');
INSERT INTO "codes" VALUES(121,'SYSTEM_MODE','boot','a bot entered factory or mission mode');
INSERT INTO "codes" VALUES(200,'SENSOR_IO_START','sensors','a bot began to read its sensors');
INSERT INTO "codes" VALUES(201,'SENSOR_IO_OK','sensors','a bot''s sensors answer');
INSERT INTO "codes" VALUES(202,'SENSOR_IO_FAILED','sensors','a sensor stopped answering');
INSERT INTO "codes" VALUES(210,'RADAR_FRAME_RECEIVED','sensors','a radar frame');
INSERT INTO "codes" VALUES(211,'RADAR_TRACK_GENERATED','sensors','a radar track');
INSERT INTO "codes" VALUES(220,'TELEMETRY_SNAPSHOT','sensors','a telemetry snapshot');
INSERT INTO "codes" VALUES(221,'SENSOR_READING','sensors','a reading of a sensor');
INSERT INTO "codes" VALUES(299,'UNKNOWN_TYPE','sensors','no rule knows this type of event');
INSERT INTO "codes" VALUES(300,'ACTUATOR_START','actuators','an actuator began to work');
INSERT INTO "codes" VALUES(301,'ACTUATOR_OK','actuators','an actuator did what it was told');
INSERT INTO "codes" VALUES(302,'ACTUATOR_FAILED','actuators','an actuator did not do what it was told');
INSERT INTO "codes" VALUES(310,'COMMAND_RECEIVED','actuators','a command for a bot');
INSERT INTO "codes" VALUES(311,'COMMAND_ANSWERED','actuators','a bot''s answer to a command');
INSERT INTO "codes" VALUES(312,'COMMAND_FAILED','actuators','a bot refused a command or could not carry it out');
INSERT INTO "codes" VALUES(320,'DOCKING_CHANGED','actuators','a docking port changed its state');
INSERT INTO "codes" VALUES(330,'THRUSTER_COMMAND','actuators','a thruster schedule');
INSERT INTO "codes" VALUES(331,'MODE_COMMAND','actuators','a request for a mode');
INSERT INTO "codes" VALUES(332,'PROTOCOL_COMMAND','actuators','a step of a protocol');
INSERT INTO "codes" VALUES(400,'COMM_START','communication','communication was started');
INSERT INTO "codes" VALUES(401,'COMM_OK','communication','communication works');
INSERT INTO "codes" VALUES(402,'COMM_FAILED','communication','communication failed');
INSERT INTO "codes" VALUES(410,'NATS_CONNECTED','communication','the registrar reached the broker');
INSERT INTO "codes" VALUES(411,'NATS_DISCONNECTED','communication','the registrar lost the broker');
INSERT INTO "codes" VALUES(420,'COMMS_LINK_DOWN','communication','a bot lost its link');
INSERT INTO "codes" VALUES(421,'COMMS_LINK_UP','communication','a bot''s link is up again');
INSERT INTO "codes" VALUES(422,'COMMS_CHANGED','communication','a bot''s comms changed in another way');
INSERT INTO "codes" VALUES(430,'OUTBOX_SHED','communication','a bot dropped events that it could not send');
INSERT INTO "codes" VALUES(440,'DUPLICATE_DROPPED','communication','a stream holds a recorded event once more');
INSERT INTO "codes" VALUES(441,'STREAM_GAP','communication','why sequences of a stream are not recorded');
INSERT INTO "codes" VALUES(500,'NAV_START','navigation','navigation was started');
INSERT INTO "codes" VALUES(501,'NAV_OK','navigation','navigation works');
INSERT INTO "codes" VALUES(502,'NAV_FAILED','navigation','navigation failed');
INSERT INTO "codes" VALUES(510,'NAV_STATE','navigation','a navigation state');
INSERT INTO "codes" VALUES(600,'POWER_START','power','power was switched on');
INSERT INTO "codes" VALUES(601,'POWER_OK','power','power is well');
INSERT INTO "codes" VALUES(602,'POWER_LOW','power','state of charge fell to the low limit');
INSERT INTO "codes" VALUES(603,'POWER_CRITICAL','power','state of charge fell to the critical limit');
INSERT INTO "codes" VALUES(604,'POWER_LOW_CLEARED','power','state of charge is well above the low limit again');
INSERT INTO "codes" VALUES(605,'POWER_CRITICAL_CLEARED','power','state of charge left the critical range');
INSERT INTO "codes" VALUES(610,'LOAD_SHED','power','a load was switched off to save power or heat');
INSERT INTO "codes" VALUES(611,'LOAD_RESTORED','power','a shed load was switched on again');
INSERT INTO "codes" VALUES(620,'PDU_OVERCURRENT','power','the power distribution unit is past its limit');
INSERT INTO "codes" VALUES(621,'PDU_FAULT','power','the power distribution unit failed, its bus overloaded');
INSERT INTO "codes" VALUES(622,'PDU_CLEARED','power','the power distribution unit is well again');
INSERT INTO "codes" VALUES(630,'POWER_BUS_READING','power','a reading of the power bus');
INSERT INTO "codes" VALUES(631,'POWER_PDU_STATUS','power','a reading of the power distribution unit');
INSERT INTO "codes" VALUES(632,'ENERGY_STATUS','power','an energy status');
INSERT INTO "codes" VALUES(700,'HEALTH_CHECK_START','health','a health check began');
INSERT INTO "codes" VALUES(701,'HEALTH_CHECK_OK','health','a health check found every device well');
INSERT INTO "codes" VALUES(702,'HEALTH_CHECK_FAILED','health','a health check found a device that is not well');
INSERT INTO "codes" VALUES(710,'THERMAL_TRIP','health','a node reached its trip temperature');
INSERT INTO "codes" VALUES(711,'THERMAL_CLEAR','health','a tripped node cooled down');
INSERT INTO "codes" VALUES(712,'RADIATION_HIGH','health','the dose rate reached a limit');
INSERT INTO "codes" VALUES(713,'RADIATION_CLEARED','health','the dose rate is normal again');
INSERT INTO "codes" VALUES(720,'THERMAL_READING','health','a reading of a temperature');
INSERT INTO "codes" VALUES(730,'REGISTRAR_START','health','the registrar opened its store');
INSERT INTO "codes" VALUES(731,'REGISTRAR_STOP','health','the registrar closed its store in good order');
INSERT INTO "codes" VALUES(732,'SEGMENTS_DROPPED','health','segments past their age or size were dropped');
INSERT INTO "codes" VALUES(733,'SEGMENT_CLOSED','health','a segment was closed; no byte of it changes again');
INSERT INTO "codes" VALUES(800,'SECURITY_START','security','a security check began');
INSERT INTO "codes" VALUES(801,'SECURITY_OK','security','a security check found nothing');
INSERT INTO "codes" VALUES(802,'SECURITY_VIOLATION','security','a security rule was broken');
INSERT INTO "codes" VALUES(810,'GUARD_ALERT','security','a radar guard rule fired');
INSERT INTO "codes" VALUES(811,'GUARD_CLEARED','security','a radar guard rule no longer holds');
INSERT INTO "codes" VALUES(812,'SHIELD_LOW','security','a shield fell below a threshold');
INSERT INTO "codes" VALUES(813,'SHIELD_CHANGED','security','a shield recovered, or was switched off');
INSERT INTO "codes" VALUES(820,'SHIELD_STATUS','security','a shield status');
INSERT INTO "codes" VALUES(900,'CRITICAL_ERROR','critical','something failed that must not fail');
INSERT INTO "codes" VALUES(901,'SYSTEM_HALT','critical','a bot halted');
INSERT INTO "codes" VALUES(910,'RECOVERY_START','critical','recovery from a failure began');
INSERT INTO "codes" VALUES(911,'RECOVERY_OK','critical','recovery from a failure succeeded');
INSERT INTO "codes" VALUES(920,'POISON_MESSAGE','critical','a message that is no event was quarantined');
INSERT INTO "codes" VALUES(921,'ID_CONFLICT','critical','one event id came with two payloads');
INSERT INTO "codes" VALUES(922,'STREAM_ROLLBACK','critical','a stream lost messages that were recorded');
CREATE TABLE events (
    row INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    event_ns INTEGER NOT NULL,
    intended_ns INTEGER NOT NULL,
    stream_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    bot TEXT NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    correlation TEXT NOT NULL,
    trace TEXT NOT NULL,
    headers TEXT NOT NULL,
    payload ANY NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,1,'bot-1/events.v1.state/1','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',1,1,1767225601000000000,1,1,1,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":1}',X'43A91507596AE70C112E6D9489429FCE1B52DD1E021E78374BE3346A95EDCE69');
INSERT INTO "events" VALUES(2,1,'bot-1/events.v1.state/2','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',2,1,1767225602000000000,2,2,2,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":2}',X'1CA44CF21C09D06ECCD085566E8A90E791DEC9CF02D22F9F86BBA6E961369EB3');
INSERT INTO "events" VALUES(3,1,'bot-1/events.v1.state/3','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',3,1,1767225603000000000,3,3,3,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":3}',X'D7F78AED856FB42D9173407718A3C2B120FB747F7E1C6001EA6FDD156D4F5D6A');
INSERT INTO "events" VALUES(4,2,'bot-1/events.v1.state/4','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',4,1,1767225604000000000,4,4,4,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":4}',X'0984760C657A9455FE8BD9B47AE353C198160AD713B7535F8199D3B8BA3075A9');
INSERT INTO "events" VALUES(5,2,'bot-1/events.v1.state/5','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',5,1,1767225605000000000,5,5,5,'bot-1',602,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":5}',X'48A3D352528AEB005EEC8EE966CA040F877586EC9DAC71ACB1F7EEF6E8441502');
INSERT INTO "events" VALUES(6,2,'bot-1/events.v1.state/6','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',6,1,1767225606000000000,6,6,6,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":6}',X'B39DC9A61017F79F1769BE1F968EA603D8A134CA7B611DBECC75A15A28CF8892');
INSERT INTO "events" VALUES(7,3,'bot-1/events.v1.state/7','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',7,1,1767225607000000000,7,7,7,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":7}',X'8EB7353DB28ECBC904E17D0A04B2A73A4A9949FA5FC515D11CDEFDC897158A02');
INSERT INTO "events" VALUES(8,3,'bot-1/events.v1.state/8','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',8,1,1767225608000000000,8,8,8,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":8}',X'929298A129CD49A1747DB892E9092D8A6C95E0D99A70488B1F95DF451F78254C');
INSERT INTO "events" VALUES(9,3,'bot-1/events.v1.state/9','urn:twin:r1:bot-1','qiki.events.v1.StateChange','qiki.events.v1.state','QIKI_EVENTS_V1',9,1,1767225609000000000,9,9,9,'bot-1',101,20,'','',CAST(X'4e4154532f312e300d0a63652d7370656376657273696f6e3a20312e300d0a0d0a' AS TEXT),'{"n":9}',X'3D02DE1EA539BCDA666B62D2A79D7C159E31B438A9768DABE4CC22E28B8A7BCF');
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "meta" VALUES('schema','2');
INSERT INTO "meta" VALUES('store','8e5548b39b6c4ed29ae294ae5b598715');
INSERT INTO "meta" VALUES('segment','1');
INSERT INTO "meta" VALUES('key','2f239752a7cc36a1222431b9d839097f6abefa68248329f8e05a167ff08bad43');
INSERT INTO "meta" VALUES('base','[0,0,0,"0000000000000000000000000000000000000000000000000000000000000000"]');
INSERT INTO "meta" VALUES('checkpoint','0');
INSERT INTO "meta" VALUES('previous','0000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO "meta" VALUES('signed','0');
CREATE TABLE notes (
    note INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    key TEXT NOT NULL UNIQUE,
    recorded_ns INTEGER NOT NULL,
    code INTEGER NOT NULL,
    severity INTEGER NOT NULL,
    stream TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    subject TEXT NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    detail TEXT NOT NULL,
    body BLOB NOT NULL,
    leaf BLOB NOT NULL
) STRICT;
INSERT INTO "notes" VALUES(1,2,'poison/4',5,920,40,'QIKI_EVENTS_V1',0,'','','','{"reason":"x"}',X'00',X'E787EA9B7FAC3F480069B411875698A862ED0971EB977B933A5FA7A3240B906B');
CREATE TABLE rules (hash TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
INSERT INTO "rules" VALUES('7f2c43106364d8112fcc3060e4ab8b20f5d1a17d9cbf3c2540529663004adff8','version: 1
rules: []
');
CREATE TABLE severities (severity INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
INSERT INTO "severities" VALUES(10,'DEBUG');
INSERT INTO "severities" VALUES(20,'INFO');
INSERT INTO "severities" VALUES(30,'WARN');
INSERT INTO "severities" VALUES(40,'ERROR');
INSERT INTO "severities" VALUES(50,'CRITICAL');
CREATE TABLE streams (
    stream TEXT PRIMARY KEY, last_seq INTEGER NOT NULL, covered INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "streams" VALUES('QIKI_EVENTS_V1',9,0);
CREATE TABLE tombstones (
    tombstone INTEGER PRIMARY KEY, statement TEXT NOT NULL, signature BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_key ON events (id, source);
CREATE INDEX events_stream ON events (stream, stream_seq);
CREATE INDEX events_code ON events (code, event_ns);
CREATE INDEX events_bot ON events (bot, event_ns);
CREATE INDEX events_type ON events (type, event_ns);
CREATE INDEX events_time ON events (event_ns);
CREATE INDEX events_severe ON events (event_ns) WHERE severity >= 30;
CREATE INDEX events_correlation ON events (correlation) WHERE correlation != '';
CREATE INDEX events_trace ON events (trace) WHERE trace != '';
CREATE VIEW audit AS
SELECT e.row, e.id, e.source, e.type, e.subject, e.bot, e.code, c.name, c.category,
    s.name AS severity, e.stream, e.stream_seq, e.deliveries,
    strftime('%FT%T', e.event_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', e.event_ns % 1000000000) AS event_time,
    strftime('%FT%T', b.committed_ns / 1000000000, 'unixepoch')
        || printf('.%09dZ', b.committed_ns % 1000000000) AS committed_time,
    e.correlation, e.trace, e.payload, e.headers, b.batch, b.rules, b.version
FROM events e JOIN batches b USING (batch)
LEFT JOIN codes c USING (code) LEFT JOIN severities s ON s.severity = e.severity;
