"""A shop's features: of customers, and of customers in a city."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float32, Float64, Int32, Int64, String

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
city = Entity(name="city", join_keys=["city"], value_type=ValueType.STRING)

spending = FeatureView(
    name="spending",
    entities=[customer],
    ttl=timedelta(days=30),
    schema=[Field(name="orders", dtype=Int64), Field(name="spent", dtype=Float64)],
    source=FileSource(path="data/spending.parquet", timestamp_field="at", created_timestamp_column="made"),
)
profile = FeatureView(
    name="profile",
    entities=[customer],
    ttl=timedelta(0),  # for ever
    schema=[
        Field(name="basket", dtype=Float32),
        Field(name="tier", dtype=String),
        Field(name="member", dtype=Bool),
    ],
    source=FileSource(path="data/profile.parquet", timestamp_field="at"),
)
visits = FeatureView(
    name="visits",
    entities=[customer, city],
    ttl=timedelta(0),
    schema=[Field(name="visits", dtype=Int32)],
    source=FileSource(path="data/visits.parquet", timestamp_field="at"),
)
churn = FeatureService(name="churn", features=[spending, profile[["tier", "member"]], visits])
loyal = FeatureService(name="loyal", features=[profile])
OBJECTS = [customer, city, spending, profile, visits, churn, loyal]
