/**
 * One name for a tenant's thing, where a service keeps the things of all tenants under one name: two tenants never share
 * one, whatever they are called. Names without a tenant begin with `:`, the others with the length of the tenant's.
 */
export const tenantKey = (tenant: string | undefined, name: string): string =>
  tenant === undefined || tenant === "" ? `:${name}` : `${tenant.length}:${tenant}:${name}`
