SELECT 0 AS i,
  CAST(bitstring_agg((anon_1.r * 64 + CASE WHEN anon_1.low = 0 THEN 53 ELSE 53 - length(bin(anon_1.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_2.x >> 52) AS r,
  min((anon_2.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."id") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."id" IS NOT NULL) AS anon_2 GROUP BY (anon_2.x >> 52)) AS anon_1 UNION ALL SELECT 1 AS i,
  CAST(bitstring_agg((anon_3.r * 64 + CASE WHEN anon_3.low = 0 THEN 53 ELSE 53 - length(bin(anon_3.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_4.x >> 52) AS r,
  min((anon_4.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."total") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."total" IS NOT NULL) AS anon_4 GROUP BY (anon_4.x >> 52)) AS anon_3 UNION ALL SELECT 2 AS i,
  CAST(bitstring_agg((anon_5.r * 64 + CASE WHEN anon_5.low = 0 THEN 53 ELSE 53 - length(bin(anon_5.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_6.x >> 52) AS r,
  min((anon_6.x & 4503599627370495)) AS low 
FROM (SELECT hash(CAST("main"."orders"."score" AS DOUBLE PRECISION) + 0.0) AS x 
FROM "main"."orders" 
WHERE "main"."orders"."score" IS NOT NULL) AS anon_6 GROUP BY (anon_6.x >> 52)) AS anon_5 UNION ALL SELECT 3 AS i,
  CAST(bitstring_agg((anon_7.r * 64 + CASE WHEN anon_7.low = 0 THEN 53 ELSE 53 - length(bin(anon_7.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_8.x >> 52) AS r,
  min((anon_8.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."status") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."status" IS NOT NULL) AS anon_8 GROUP BY (anon_8.x >> 52)) AS anon_7 UNION ALL SELECT 4 AS i,
  CAST(bitstring_agg((anon_9.r * 64 + CASE WHEN anon_9.low = 0 THEN 53 ELSE 53 - length(bin(anon_9.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_10.x >> 52) AS r,
  min((anon_10.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."day") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."day" IS NOT NULL) AS anon_10 GROUP BY (anon_10.x >> 52)) AS anon_9 UNION ALL SELECT 5 AS i,
  CAST(bitstring_agg((anon_11.r * 64 + CASE WHEN anon_11.low = 0 THEN 53 ELSE 53 - length(bin(anon_11.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_12.x >> 52) AS r,
  min((anon_12.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."moment") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."moment" IS NOT NULL) AS anon_12 GROUP BY (anon_12.x >> 52)) AS anon_11 UNION ALL SELECT 6 AS i,
  CAST(bitstring_agg((anon_13.r * 64 + CASE WHEN anon_13.low = 0 THEN 53 ELSE 53 - length(bin(anon_13.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_14.x >> 52) AS r,
  min((anon_14.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."gift") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."gift" IS NOT NULL) AS anon_14 GROUP BY (anon_14.x >> 52)) AS anon_13 UNION ALL SELECT 7 AS i,
  CAST(bitstring_agg((anon_15.r * 64 + CASE WHEN anon_15.low = 0 THEN 53 ELSE 53 - length(bin(anon_15.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_16.x >> 52) AS r,
  min((anon_16.x & 4503599627370495)) AS low 
FROM (SELECT hash(epoch("main"."orders"."took")) AS x 
FROM "main"."orders" 
WHERE "main"."orders"."took" IS NOT NULL) AS anon_16 GROUP BY (anon_16.x >> 52)) AS anon_15 UNION ALL SELECT 8 AS i,
  CAST(bitstring_agg((anon_17.r * 64 + CASE WHEN anon_17.low = 0 THEN 53 ELSE 53 - length(bin(anon_17.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_18.x >> 52) AS r,
  min((anon_18.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."key") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."key" IS NOT NULL) AS anon_18 GROUP BY (anon_18.x >> 52)) AS anon_17 UNION ALL SELECT 9 AS i,
  CAST(bitstring_agg((anon_19.r * 64 + CASE WHEN anon_19.low = 0 THEN 53 ELSE 53 - length(bin(anon_19.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_20.x >> 52) AS r,
  min((anon_20.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."blob") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."blob" IS NOT NULL) AS anon_20 GROUP BY (anon_20.x >> 52)) AS anon_19 UNION ALL SELECT 10 AS i,
  CAST(bitstring_agg((anon_21.r * 64 + CASE WHEN anon_21.low = 0 THEN 53 ELSE 53 - length(bin(anon_21.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_22.x >> 52) AS r,
  min((anon_22.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."tags") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."tags" IS NOT NULL) AS anon_22 GROUP BY (anon_22.x >> 52)) AS anon_21 UNION ALL SELECT 11 AS i,
  CAST(bitstring_agg((anon_23.r * 64 + CASE WHEN anon_23.low = 0 THEN 53 ELSE 53 - length(bin(anon_23.low)) END)::INTEGER, 0, 262143) AS BYTEA) AS bits,
  CAST(NULL AS BIGINT) AS k,
  CAST(NULL AS BIGINT) AS n 
FROM (SELECT (anon_24.x >> 52) AS r,
  min((anon_24.x & 4503599627370495)) AS low 
FROM (SELECT hash("main"."orders"."pay") AS x 
FROM "main"."orders" 
WHERE "main"."orders"."pay" IS NOT NULL) AS anon_24 GROUP BY (anon_24.x >> 52)) AS anon_23 UNION ALL SELECT anon_25.i AS i,
  CAST(NULL AS BYTEA) AS bits,
  CAST(anon_25.x AS BIGINT) AS k,
  CAST(count(*) AS BIGINT) AS n 
FROM (SELECT unnest(list_value(0, 1, 2, 4, 5, 7)) AS i,
  unnest(list_value(CASE WHEN CAST("main"."orders"."id" AS DOUBLE PRECISION) > 0 THEN floor(ln(CAST("main"."orders"."id" AS DOUBLE PRECISION)) / 0.01980262729617973::DOUBLE)::INTEGER + 50000 WHEN CAST("main"."orders"."id" AS DOUBLE PRECISION) < 0 THEN -(floor(ln(-(CAST("main"."orders"."id" AS DOUBLE PRECISION))) / 0.01980262729617973::DOUBLE)::INTEGER + 50000) WHEN CAST("main"."orders"."id" AS DOUBLE PRECISION) = 0 THEN 0 END, CASE WHEN CAST("main"."orders"."total" AS DOUBLE PRECISION) > 0 THEN floor(ln(CAST("main"."orders"."total" AS DOUBLE PRECISION)) / 0.01980262729617973::DOUBLE)::INTEGER + 50000 WHEN CAST("main"."orders"."total" AS DOUBLE PRECISION) < 0 THEN -(floor(ln(-(CAST("main"."orders"."total" AS DOUBLE PRECISION))) / 0.01980262729617973::DOUBLE)::INTEGER + 50000) WHEN CAST("main"."orders"."total" AS DOUBLE PRECISION) = 0 THEN 0 END, CASE WHEN CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END > 0 THEN floor(ln(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END) / 0.01980262729617973::DOUBLE)::INTEGER + 50000 WHEN CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END < 0 THEN -(floor(ln(-(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END)) / 0.01980262729617973::DOUBLE)::INTEGER + 50000) WHEN CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END = 0 THEN 0 END, ((CASE WHEN isfinite("main"."orders"."day") THEN "main"."orders"."day" END)::DATE - DATE '1970-01-01'), ((CASE WHEN isfinite("main"."orders"."moment") THEN "main"."orders"."moment" END)::DATE - DATE '1970-01-01'), CASE WHEN epoch("main"."orders"."took") > 0 THEN floor(ln(epoch("main"."orders"."took")) / 0.01980262729617973::DOUBLE)::INTEGER + 50000 WHEN epoch("main"."orders"."took") < 0 THEN -(floor(ln(-(epoch("main"."orders"."took"))) / 0.01980262729617973::DOUBLE)::INTEGER + 50000) WHEN epoch("main"."orders"."took") = 0 THEN 0 END)) AS x 
FROM "main"."orders") AS anon_25 
WHERE anon_25.x IS NOT NULL GROUP BY anon_25.i, anon_25.x
