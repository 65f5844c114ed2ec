WITH shifts AS MATERIALIZED 
(SELECT coalesce((SELECT median(anon_1.x) AS middle_of_1 
FROM (SELECT CAST("main"."orders"."id" AS DOUBLE PRECISION) AS x 
FROM "main"."orders" 
WHERE CAST("main"."orders"."id" AS DOUBLE PRECISION) IS NOT NULL 
 LIMIT 1024) AS anon_1), 0.0) AS shift_0,
  coalesce((SELECT median(anon_2.x) AS middle_of_2 
FROM (SELECT CAST("main"."orders"."total" AS DOUBLE PRECISION) AS x 
FROM "main"."orders" 
WHERE CAST("main"."orders"."total" AS DOUBLE PRECISION) IS NOT NULL 
 LIMIT 1024) AS anon_2), 0.0) AS shift_1,
  coalesce((SELECT median(anon_3.x) AS middle_of_3 
FROM (SELECT CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END AS x 
FROM "main"."orders" 
WHERE CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END IS NOT NULL 
 LIMIT 1024) AS anon_3), 0.0) AS shift_2,
  coalesce((SELECT median(anon_4.x) AS middle_of_4 
FROM (SELECT epoch("main"."orders"."took") AS x 
FROM "main"."orders" 
WHERE epoch("main"."orders"."took") IS NOT NULL 
 LIMIT 1024) AS anon_4), 0.0) AS shift_7)
 SELECT count(*) AS rows,
  count("main"."orders"."id") AS present_0,
  count(CASE WHEN (CAST("main"."orders"."id" AS DOUBLE PRECISION) = 0) THEN 1 END) AS zeros_0,
  count(CASE WHEN (CAST("main"."orders"."id" AS DOUBLE PRECISION) < 0) THEN 1 END) AS negatives_0,
  count(CAST("main"."orders"."id" AS DOUBLE PRECISION)) AS n_0,
  any_value(shifts.shift_0) AS shift_0,
  sum(CAST("main"."orders"."id" AS DOUBLE PRECISION) - shifts.shift_0) AS sum_0,
  sum((CAST("main"."orders"."id" AS DOUBLE PRECISION) - shifts.shift_0) * (CAST("main"."orders"."id" AS DOUBLE PRECISION) - shifts.shift_0)) AS squares_0,
  min("main"."orders"."id") AS low_0,
  max("main"."orders"."id") AS high_0,
  count("main"."orders"."total") AS present_1,
  count(CASE WHEN (CAST("main"."orders"."total" AS DOUBLE PRECISION) = 0) THEN 1 END) AS zeros_1,
  count(CASE WHEN (CAST("main"."orders"."total" AS DOUBLE PRECISION) < 0) THEN 1 END) AS negatives_1,
  count(CAST("main"."orders"."total" AS DOUBLE PRECISION)) AS n_1,
  any_value(shifts.shift_1) AS shift_1,
  sum(CAST("main"."orders"."total" AS DOUBLE PRECISION) - shifts.shift_1) AS sum_1,
  sum((CAST("main"."orders"."total" AS DOUBLE PRECISION) - shifts.shift_1) * (CAST("main"."orders"."total" AS DOUBLE PRECISION) - shifts.shift_1)) AS squares_1,
  min("main"."orders"."total") AS low_1,
  max("main"."orders"."total") AS high_1,
  count("main"."orders"."score") AS present_2,
  count(CASE WHEN (CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END = 0) THEN 1 END) AS zeros_2,
  count(CASE WHEN (CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END < 0) THEN 1 END) AS negatives_2,
  count(CASE WHEN isnan(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN 1 END) AS nans_2,
  count(CASE WHEN (NOT isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) AND NOT isnan(CAST("main"."orders"."score" AS DOUBLE PRECISION))) THEN 1 END) AS infinites_2,
  count(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END) AS n_2,
  any_value(shifts.shift_2) AS shift_2,
  sum(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END - shifts.shift_2) AS sum_2,
  sum((CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END - shifts.shift_2) * (CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END - shifts.shift_2)) AS squares_2,
  min(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END) AS low_2,
  max(CASE WHEN isfinite(CAST("main"."orders"."score" AS DOUBLE PRECISION)) THEN CAST("main"."orders"."score" AS DOUBLE PRECISION) END) AS high_2,
  count("main"."orders"."status") AS present_3,
  count(CASE WHEN CASE WHEN CAST("main"."orders"."status" AS TEXT) < '!' THEN ltrim(CAST("main"."orders"."status" AS TEXT), e' \t\n\r\f\v') = '' ELSE false END THEN 1 END) AS blanks_3,
  left(min(CAST("main"."orders"."status" AS TEXT)), 512) AS low_3,
  left(max(CAST("main"."orders"."status" AS TEXT)), 512) AS high_3,
  min(length(CAST("main"."orders"."status" AS TEXT))) AS shortest_3,
  max(length(CAST("main"."orders"."status" AS TEXT))) AS longest_3,
  sum(length(CAST("main"."orders"."status" AS TEXT))) AS length_3,
  count("main"."orders"."day") AS present_4,
  count(CASE WHEN NOT isfinite("main"."orders"."day") THEN 1 END) AS infinites_4,
  ((min(CASE WHEN isfinite("main"."orders"."day") THEN "main"."orders"."day" END))::DATE - DATE '1970-01-01') AS low_4,
  ((max(CASE WHEN isfinite("main"."orders"."day") THEN "main"."orders"."day" END))::DATE - DATE '1970-01-01') AS high_4,
  count("main"."orders"."moment") AS present_5,
  count(CASE WHEN NOT isfinite("main"."orders"."moment") THEN 1 END) AS infinites_5,
  epoch_us(min(CASE WHEN isfinite("main"."orders"."moment") THEN "main"."orders"."moment" END)) AS low_5,
  epoch_us(max(CASE WHEN isfinite("main"."orders"."moment") THEN "main"."orders"."moment" END)) AS high_5,
  count("main"."orders"."gift") AS present_6,
  count(CASE WHEN CAST("main"."orders"."gift" AS BOOLEAN) THEN 1 END) AS trues_6,
  count("main"."orders"."took") AS present_7,
  count(CASE WHEN (epoch("main"."orders"."took") = 0) THEN 1 END) AS zeros_7,
  count(CASE WHEN (epoch("main"."orders"."took") < 0) THEN 1 END) AS negatives_7,
  count(epoch("main"."orders"."took")) AS n_7,
  any_value(shifts.shift_7) AS shift_7,
  sum(epoch("main"."orders"."took") - shifts.shift_7) AS sum_7,
  sum((epoch("main"."orders"."took") - shifts.shift_7) * (epoch("main"."orders"."took") - shifts.shift_7)) AS squares_7,
  min(epoch("main"."orders"."took")) AS low_7,
  max(epoch("main"."orders"."took")) AS high_7,
  count("main"."orders"."key") AS present_8,
  left(min(CAST("main"."orders"."key" AS TEXT)), 512) AS low_8,
  left(max(CAST("main"."orders"."key" AS TEXT)), 512) AS high_8,
  count("main"."orders"."blob") AS present_9,
  min(octet_length("main"."orders"."blob")) AS shortest_9,
  max(octet_length("main"."orders"."blob")) AS longest_9,
  sum(octet_length("main"."orders"."blob")) AS length_9,
  count("main"."orders"."tags") AS present_10,
  min(len("main"."orders"."tags")) AS shortest_10,
  max(len("main"."orders"."tags")) AS longest_10,
  sum(len("main"."orders"."tags")) AS length_10,
  count("main"."orders"."pay") AS present_11,
  count(CASE WHEN (CAST("main"."orders"."pay" AS DOUBLE PRECISION) = 0) THEN 1 END) AS zeros_11,
  count(CASE WHEN (CAST("main"."orders"."pay" AS DOUBLE PRECISION) < 0) THEN 1 END) AS negatives_11 
FROM "main"."orders" JOIN shifts ON true
