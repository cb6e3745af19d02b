-- What policies.yaml says, written by hand for an engine without policies.

create view tpch.region as
select r_regionkey, r_name, arrow_cast('withheld', 'Utf8View') as r_comment
from raw.region
where r_name <> 'AFRICA';

create view tpch.nation as
select n_nationkey, n_name, n_regionkey, arrow_cast(null, 'Utf8View') as n_comment
from raw.nation
where n_name <> 'CHINA';

create view tpch.supplier as
select
    s_suppkey, s_name, arrow_cast('withheld', 'Utf8View') as s_address, s_nationkey,
    arrow_cast(repeat('*', character_length(s_phone) - 4) || right(s_phone, 4), 'Utf8View') as s_phone,
    s_acctbal, s_comment
from raw.supplier
where s_acctbal > 0.00;

create view tpch.customer as
select
    c_custkey, c_name,
    arrow_cast(repeat('*', character_length(c_address) - 4) || right(c_address, 4), 'Utf8View') as c_address,
    c_nationkey, c_phone, c_acctbal, c_mktsegment, arrow_cast(null, 'Utf8View') as c_comment
from raw.customer
where c_mktsegment <> 'FURNITURE';

create view tpch.part as
select
    p_partkey, p_name,
    arrow_cast(repeat('*', character_length(p_mfgr) - 1) || right(p_mfgr, 1), 'Utf8View') as p_mfgr,
    p_brand, p_type, p_size, p_container, p_retailprice, arrow_cast(null, 'Utf8View') as p_comment
from raw.part
where p_size <= 45;

create view tpch.partsupp as
select ps_partkey, ps_suppkey, ps_availqty, ps_supplycost, arrow_cast(null, 'Utf8View') as ps_comment
from raw.partsupp
where ps_availqty > 1000;

create view tpch.orders as
select
    o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate, o_orderpriority,
    arrow_cast(repeat('*', character_length(o_clerk) - 4) || right(o_clerk, 4), 'Utf8View') as o_clerk,
    o_shippriority, o_comment
from raw.orders
where o_orderpriority <> '5-LOW';

create view tpch.lineitem as
select
    l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag,
    l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode,
    arrow_cast(null, 'Utf8View') as l_comment
from raw.lineitem
where l_tax < 0.08;
