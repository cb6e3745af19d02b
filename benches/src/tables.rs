//! The eight tables: their generators and how many files each is kept in.

use arrow::array::RecordBatchReader;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

/// One table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Region,
    Nation,
    Supplier,
    Customer,
    Part,
    PartSupp,
    Orders,
    LineItem,
}

impl Table {
    pub(crate) const ALL: [Self; 8] = [
        Self::Region,
        Self::Nation,
        Self::Supplier,
        Self::Customer,
        Self::Part,
        Self::PartSupp,
        Self::Orders,
        Self::LineItem,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Nation => "nation",
            Self::Supplier => "supplier",
            Self::Customer => "customer",
            Self::Part => "part",
            Self::PartSupp => "partsupp",
            Self::Orders => "orders",
            Self::LineItem => "lineitem",
        }
    }

    /// Files, whatever the scale: enough that scans of the large tables are cut at files, too.
    pub(crate) const fn files(self) -> i32 {
        match self {
            Self::LineItem => 6,
            Self::Orders => 3,
            Self::PartSupp => 2,
            _ => 1,
        }
    }

    /// The rows of one file, from 1.
    pub(crate) fn rows(self, scale: f64, file: i32) -> Box<dyn RecordBatchReader> {
        let files = self.files();
        match self {
            Self::Region => Box::new(RegionArrow::new(RegionGenerator::new(scale, file, files))),
            Self::Nation => Box::new(NationArrow::new(NationGenerator::new(scale, file, files))),
            Self::Supplier => Box::new(SupplierArrow::new(SupplierGenerator::new(scale, file, files))),
            Self::Customer => Box::new(CustomerArrow::new(CustomerGenerator::new(scale, file, files))),
            Self::Part => Box::new(PartArrow::new(PartGenerator::new(scale, file, files))),
            Self::PartSupp => Box::new(PartSuppArrow::new(PartSuppGenerator::new(scale, file, files))),
            Self::Orders => Box::new(OrderArrow::new(OrderGenerator::new(scale, file, files))),
            Self::LineItem => Box::new(LineItemArrow::new(LineItemGenerator::new(scale, file, files))),
        }
    }
}
