SELECT 0 AS i,
  CAST(anon_1.v AS TEXT) AS v,
  anon_1.n 
FROM (SELECT "main"."orders"."id" AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."id" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_1 UNION ALL SELECT 1 AS i,
  CAST(anon_2.v AS TEXT) AS v,
  anon_2.n 
FROM (SELECT "main"."orders"."total" AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."total" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_2 UNION ALL SELECT 2 AS i,
  CAST(anon_3.v AS TEXT) AS v,
  anon_3.n 
FROM (SELECT CAST("main"."orders"."score" AS DOUBLE PRECISION) + 0.0 AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."score" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_3 UNION ALL SELECT 3 AS i,
  CAST(anon_4.v AS TEXT) AS v,
  anon_4.n 
FROM (SELECT CAST("main"."orders"."status" AS TEXT) AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."status" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_4 UNION ALL SELECT 4 AS i,
  CAST(anon_5.v AS TEXT) AS v,
  anon_5.n 
FROM (SELECT "main"."orders"."day" AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."day" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_5 UNION ALL SELECT 5 AS i,
  CAST(anon_6.v AS TEXT) AS v,
  anon_6.n 
FROM (SELECT "main"."orders"."moment" AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."moment" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_6 UNION ALL SELECT 6 AS i,
  CAST(anon_7.v AS TEXT) AS v,
  anon_7.n 
FROM (SELECT "main"."orders"."gift" AS v,
  count(*) AS n 
FROM "main"."orders" 
WHERE "main"."orders"."gift" IS NOT NULL GROUP BY 1 
 LIMIT 1001) AS anon_7
