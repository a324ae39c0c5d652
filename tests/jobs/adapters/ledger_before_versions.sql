BEGIN TRANSACTION;
CREATE TABLE batches (
	campaign VARCHAR NOT NULL, 
	round INTEGER NOT NULL, 
	rank INTEGER NOT NULL, 
	casting VARCHAR NOT NULL, 
	use VARCHAR NOT NULL, 
	PRIMARY KEY (campaign, round, rank), 
	UNIQUE (campaign, casting)
);
INSERT INTO "batches" VALUES('castings-random-0',0,0,'0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','train');
INSERT INTO "batches" VALUES('castings-random-0',0,1,'89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','train');
INSERT INTO "batches" VALUES('castings-random-0',0,2,'1c36f861791bacc3ee5e7c80bc63950675a9b48fcc69923532939171f747664f','train');
INSERT INTO "batches" VALUES('castings-random-0',0,3,'ae0a1e077a8004ae3d41c85ea9de7d9c3b088c771207e973e8b3ec0610cad4b9','train');
INSERT INTO "batches" VALUES('castings-random-0',1,0,'3d4db060f4f16a3d4b86a756b9c95fe1fa2dba655374dcf7a676a8994a719648','train');
INSERT INTO "batches" VALUES('castings-random-0',1,1,'6e30570cfbb732469cd8c8e38b22fa3772635b16e4091736dc20acd91b779a40','train');
CREATE TABLE campaigns (
	name VARCHAR NOT NULL, 
	options TEXT NOT NULL, 
	channels INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "campaigns" VALUES('castings-random-0','{"audit_share": 0.0, "backbone": "resnet18", "batch": 2, "classes": "auto", "cold_start": "random", "data": "/data/castings", "good": "auto", "image_size": 32, "initial": 4, "model_name": "casting-defects", "passes": 50, "seed": 0, "split": "by-part", "split_seed": 0, "steps": 1, "strategy": "random", "weights": "scratch"}',1,'2026-11-28T06:38:11.423889+00:00');
CREATE TABLE castings (
	id INTEGER NOT NULL, 
	data VARCHAR NOT NULL, 
	casting VARCHAR NOT NULL, 
	path TEXT NOT NULL, 
	unreadable TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "castings" VALUES(1,'/data/castings','6e30570cfbb732469cd8c8e38b22fa3772635b16e4091736dc20acd91b779a40','def/000.png',NULL);
INSERT INTO "castings" VALUES(2,'/data/castings','ae0a1e077a8004ae3d41c85ea9de7d9c3b088c771207e973e8b3ec0610cad4b9','def/001.png',NULL);
INSERT INTO "castings" VALUES(3,'/data/castings','89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','def/002.png',NULL);
INSERT INTO "castings" VALUES(4,'/data/castings','797b1dfe331abf6f24f1060e3e9e7e54b2dd01fa1324630e20b3484a9117bbac','def/003.png',NULL);
INSERT INTO "castings" VALUES(5,'/data/castings','88385898875f646170e7595178bea78f110b6ee8e43ccdef5840dde52cc29f3e','def/004.png',NULL);
INSERT INTO "castings" VALUES(6,'/data/castings','9d462e0b796303b66339fce45037a6a80b09155f9fd837d7015c1986dd298b15','ok/000.png',NULL);
INSERT INTO "castings" VALUES(7,'/data/castings','ac9d2bee57a16ecfdcdaa1c1ba7425c75f5c9e957c836960694922876a7222bc','ok/001.png',NULL);
INSERT INTO "castings" VALUES(8,'/data/castings','1c36f861791bacc3ee5e7c80bc63950675a9b48fcc69923532939171f747664f','ok/002.png',NULL);
INSERT INTO "castings" VALUES(9,'/data/castings','776a7c4cef63174a86faf200554ab3733c100e78985ac6d6cea179f2faa1e604','ok/003.png',NULL);
INSERT INTO "castings" VALUES(10,'/data/castings','0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','ok/004.png',NULL);
INSERT INTO "castings" VALUES(11,'/data/castings','3d4db060f4f16a3d4b86a756b9c95fe1fa2dba655374dcf7a676a8994a719648','ok/005.png',NULL);
INSERT INTO "castings" VALUES(12,'/data/castings','e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855','ok/broken.png','empty file');
CREATE TABLE labels (
	id INTEGER NOT NULL, 
	casting VARCHAR NOT NULL, 
	label VARCHAR NOT NULL, 
	annotator VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "labels" VALUES(1,'0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','ok','oracle','2026-11-28T06:38:15.273345+00:00');
INSERT INTO "labels" VALUES(2,'89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','def','oracle','2026-11-28T06:38:15.273345+00:00');
INSERT INTO "labels" VALUES(3,'1c36f861791bacc3ee5e7c80bc63950675a9b48fcc69923532939171f747664f','ok','oracle','2026-11-28T06:38:15.273345+00:00');
INSERT INTO "labels" VALUES(4,'ae0a1e077a8004ae3d41c85ea9de7d9c3b088c771207e973e8b3ec0610cad4b9','def','oracle','2026-11-28T06:38:15.273345+00:00');
INSERT INTO "labels" VALUES(5,'3d4db060f4f16a3d4b86a756b9c95fe1fa2dba655374dcf7a676a8994a719648','ok','oracle','2026-11-28T06:38:18.779836+00:00');
INSERT INTO "labels" VALUES(6,'6e30570cfbb732469cd8c8e38b22fa3772635b16e4091736dc20acd91b779a40','def','oracle','2026-11-28T06:38:18.779836+00:00');
INSERT INTO "labels" VALUES(7,'0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','def','ann','2026-11-28T06:38:31.000414+00:00');
INSERT INTO "labels" VALUES(8,'89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','def','ann','2026-11-28T06:38:31.000414+00:00');
CREATE TABLE lengths (
	id INTEGER NOT NULL, 
	campaign VARCHAR NOT NULL, 
	rounds INTEGER NOT NULL, 
	at VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "lengths" VALUES(1,'castings-random-0',2,'2026-11-28T06:38:11.423889+00:00');
CREATE TABLE rounds (
	campaign VARCHAR NOT NULL, 
	round INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	labels_total INTEGER NOT NULL, 
	metrics TEXT NOT NULL, 
	at VARCHAR NOT NULL, 
	PRIMARY KEY (campaign, round)
);
INSERT INTO "rounds" VALUES('castings-random-0',0,'61636305569e45d289155cff8c1a8053','1',4,'{"data/duplicate_test_castings": 0.0, "data/leaked_test_castings": 0.0, "data/test_castings": 4.0, "data/train_castings": 7.0, "data/unreadable": 1.0, "labels/defects_found": 2.0, "labels/share_def": 0.5, "labels/share_ok": 0.5, "labels/total": 4.0, "labels/train": 4.0, "operating/temperature": 1.0, "operating/threshold": 0.5, "seconds/train": 0.572532874999979, "test/accuracy": 0.75, "test/auroc": 0.75, "test/ece": 0.3787927365566587, "test/escape_rate": 0.0, "test/macro_f1": 0.7333333333333334, "test/nll": 0.6851122665106681, "test/overkill_rate": 0.5, "train/loss": 1.1171903610229492}','2026-11-28T06:38:17.856964+00:00');
INSERT INTO "rounds" VALUES('castings-random-0',1,'1d1e26aa26e24153962dacb81cfabc83','2',6,'{"data/duplicate_test_castings": 0.0, "data/leaked_test_castings": 0.0, "data/test_castings": 4.0, "data/train_castings": 7.0, "data/unreadable": 1.0, "labels/defects_found": 3.0, "labels/share_def": 0.5, "labels/share_ok": 0.5, "labels/total": 6.0, "labels/train": 6.0, "operating/temperature": 1.0, "operating/threshold": 0.5, "seconds/train": 0.42227878799985774, "test/accuracy": 0.75, "test/auroc": 1.0, "test/ece": 0.3160462326713741, "test/escape_rate": 0.0, "test/macro_f1": 0.7333333333333334, "test/nll": 0.46848344139523285, "test/overkill_rate": 0.5, "train/loss": 0.9070110321044922}','2026-11-28T06:38:20.270106+00:00');
CREATE TABLE runs (
	campaign VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	PRIMARY KEY (campaign)
);
INSERT INTO "runs" VALUES('castings-random-0','dbba77b9191549ec98a228cd6fef568f');
CREATE TABLE sides (
	data VARCHAR NOT NULL, 
	split VARCHAR NOT NULL, 
	part VARCHAR NOT NULL, 
	stratum VARCHAR NOT NULL, 
	side VARCHAR NOT NULL, 
	PRIMARY KEY (data, split, part)
);
INSERT INTO "sides" VALUES('/data/castings','by-part/0','776a7c4cef63174a86faf200554ab3733c100e78985ac6d6cea179f2faa1e604','ok','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','ac9d2bee57a16ecfdcdaa1c1ba7425c75f5c9e957c836960694922876a7222bc','ok','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','ok','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','1c36f861791bacc3ee5e7c80bc63950675a9b48fcc69923532939171f747664f','ok','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','9d462e0b796303b66339fce45037a6a80b09155f9fd837d7015c1986dd298b15','ok','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','3d4db060f4f16a3d4b86a756b9c95fe1fa2dba655374dcf7a676a8994a719648','ok','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','88385898875f646170e7595178bea78f110b6ee8e43ccdef5840dde52cc29f3e','def','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','797b1dfe331abf6f24f1060e3e9e7e54b2dd01fa1324630e20b3484a9117bbac','def','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','ae0a1e077a8004ae3d41c85ea9de7d9c3b088c771207e973e8b3ec0610cad4b9','def','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','def','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0','6e30570cfbb732469cd8c8e38b22fa3772635b16e4091736dc20acd91b779a40','def','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','0152f6eca887bda2b4fda60c1aba86fe465f783adfb6dc0cb0f2881ad944f273','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','1c36f861791bacc3ee5e7c80bc63950675a9b48fcc69923532939171f747664f','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','3d4db060f4f16a3d4b86a756b9c95fe1fa2dba655374dcf7a676a8994a719648','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','6e30570cfbb732469cd8c8e38b22fa3772635b16e4091736dc20acd91b779a40','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','776a7c4cef63174a86faf200554ab3733c100e78985ac6d6cea179f2faa1e604','','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','797b1dfe331abf6f24f1060e3e9e7e54b2dd01fa1324630e20b3484a9117bbac','','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','88385898875f646170e7595178bea78f110b6ee8e43ccdef5840dde52cc29f3e','','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','89184d63eb033b0473a7e4330bdb831dcf4a8eab3add4b09c7fdeacf29351daf','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','9d462e0b796303b66339fce45037a6a80b09155f9fd837d7015c1986dd298b15','','train');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','ac9d2bee57a16ecfdcdaa1c1ba7425c75f5c9e957c836960694922876a7222bc','','test');
INSERT INTO "sides" VALUES('/data/castings','by-part/0/castings','ae0a1e077a8004ae3d41c85ea9de7d9c3b088c771207e973e8b3ec0610cad4b9','','train');
CREATE INDEX ix_lengths_campaign ON lengths (campaign);
CREATE INDEX ix_castings_data ON castings (data);
CREATE INDEX ix_labels_casting ON labels (casting);
COMMIT;
